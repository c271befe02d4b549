"""One cell of the matrix without a kernel: a client, a server and relays, real endpoints on a simulated internet.

Each relay has two addresses, so that either end learns how its NAT chooses ports. A cell is a function of its seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from clawchat.crypto.credential import Credential, make_slot
from clawchat.nat.reasons import Reason
from clawchat.net.relays import LOOK_SECONDS
from clawchat.session.config import EndpointConfig
from clawchat.session.links import box_address
from clawchat.session.session import Session
from clawchat.values.address import Path
from clawchat.values.events import (
    Event,
    PathChanged,
    PingAnswered,
    SessionEnded,
    SessionOpened,
    StreamReadable,
)
from clawchat.values.limits import WEBSOCKET_HEAD_START
from lab.sim.internet import Internet
from lab.sim.pair import plan_of_pair
from lab.sim.party import Party
from lab.sim.relay import FOREVER, Relay, copied
from lab.sim.stream import open_websocket
from lab.sim.twins import Twins, twins

_GATEWAYS: Final = ("g1", "g2")
NEW_ADDRESS: Final = "203.0.113.99"
INVITE: Final = 0.8
"""When the client gets its credential; the server has joined the relays by then."""

SETTLE: Final = 1.0
"""When the client starts."""


class Peer:
    """One of the two ends, and what happened to it."""

    def __init__(self, net: Internet, node: str, *, seed: int, config: EndpointConfig | None = None) -> None:
        self.net = net
        self.party = Party(net, node, net.plan.peers[node].address, self._take, seed=seed, config=config)
        self.own = self.party.open()
        self.party.endpoint.candidates = (self.own,)
        self.links: dict[int, int] = {}  # by session with a relay; 0 until it is open
        self.id = 0
        self.opened_at: float | None = None
        self.direct_at: float | None = None
        self.moves: list[tuple[float, PathChanged]] = []
        self.ended: list[SessionEnded] = []
        self.received = bytearray()
        self.answered: list[float] = []
        self.on_relay: Callable[[int, int], None] = lambda _session, _link: None
        self.late = 0.0

    @property
    def session(self) -> Session:
        """The session between the two ends."""
        return self.party.endpoint.sessions[self.id]

    @property
    def path_reason(self) -> Reason:
        """Why the session's path is what it is, as this end sees it."""
        found = self.party.endpoint.sessions.get(self.id)
        return Reason.LOOKING if found is None else found.path_reason

    def ping(self, times: int = 1) -> None:
        """Ask the other end to answer, some times at once; `answered` has when it did."""
        for _ in range(times):
            self.session.ping()
        self.party.flush()

    @property
    def direct(self) -> bool:
        """Tell whether the session is up and uses no relay."""
        found = self.party.endpoint.sessions.get(self.id)
        return found is not None and self.opened_at is not None and not found.path.relayed

    def learn_address(self, session: int) -> None:
        """Be reachable where a relay sees us, too."""
        endpoint = self.party.endpoint
        observed = endpoint.sessions[session].observed
        if observed is not None:
            endpoint.candidates = tuple(dict.fromkeys((*endpoint.candidates, observed)))

    def join(self, relay: Relay) -> None:
        """Become a member of a relay."""
        session = self.party.endpoint.connect(relay.credential(), port=0, now=self.net.now)
        self.links[session] = 0
        self.net.at(self.net.now + WEBSOCKET_HEAD_START, lambda: self._dial(session, relay))

    def _dial(self, session: int, relay: Relay) -> None:
        """Reach a relay by WebSocket, unless UDP has brought an answer."""
        if not self.links[session]:
            open_websocket(self.net, self.party, relay.party, lambda path: self._try(session, path, relay))

    def _try(self, session: int, path: Path, relay: Relay) -> None:
        """Try a path to a relay; while that is a WebSocket, try UDP again and again."""
        self.party.endpoint.try_path(session, path, now=self.net.now)
        self.party.flush()
        if path.tunnelled or self.party.endpoint.sessions[session].path.tunnelled:
            way = Path(0, relay.addresses[0])
            self.net.at(self.net.now + LOOK_SECONDS, lambda: self._again(session, way, relay))

    def _again(self, session: int, way: Path, relay: Relay) -> None:
        if session in self.party.endpoint.sessions:
            self._try(session, way, relay)

    def _take(self, event: Event) -> None:
        match event:
            case SessionOpened(session) if session in self.links:
                self.links[session] = self.party.endpoint.link(session, now=self.net.now)
                self.on_relay(session, self.links[session])
            case SessionOpened(session, path=path):
                self.id = session
                self.opened_at = self.net.now
                if self.late:
                    self.party.sleep(self.late)
                if not path.relayed:
                    self.direct_at = self.net.now
            case PathChanged(session, path) if session == self.id:
                self.moves.append((self.net.now, event))
                if not path.relayed and self.direct_at is None:
                    self.direct_at = self.net.now
            case SessionEnded():
                self.ended.append(event)
            case PingAnswered(session) if session == self.id:
                self.answered.append(self.net.now)
            case StreamReadable(session, stream) if session == self.id:
                self.received += self.session.read(stream)
            case _:
                pass


class Cell:
    """A client behind the first NAT and a server behind the second; ``depth`` False leaves priming blind.

    ``delay`` and ``loss`` are those of each gateway's cable, ``skew`` is for how many seconds the server
    gets no turn when the session opens. There are so many ``relays``. ``beside`` names NATs for which the cell may
    stand as well, the client's and the server's; `same` lists for which it does.
    """

    def __init__(  # noqa: PLR0913 - what a cell may vary
        self,
        client: str,
        server: str,
        *,
        seed: int = 1,
        delay: float = 0.01,
        loss: float = 0.0,
        depth: bool = True,
        skew: float = 0.0,
        config: EndpointConfig | None = None,
        relays: int = 1,
        beside: tuple[Iterable[str], Iterable[str]] = ((), ()),
    ) -> None:
        random = Random(f"cell:{seed}")
        plan = plan_of_pair(client, server, delay=delay, loss=loss, relays=relays)
        self._nats = client, server
        asked = {gate: twins(nat, others) for gate, nat, others in zip(_GATEWAYS, self._nats, beside, strict=True)}
        self.net = Internet(plan, seed=seed, twins=asked)
        self.relays = [Relay(self.net, host, random, seed=seed) for host in plan.hosts]
        self.client = Peer(self.net, "g1-a", seed=seed, config=config)
        self.server = Peer(self.net, "g2-a", seed=seed + 1, config=config)
        self.server.late = skew
        self._attempt = 0
        self._random = random
        if depth:
            for end in (self.client, self.server):
                end.party.measure(self.relays[0].addresses[0], 0)

    def start(self) -> None:
        """Let the server join the relays, then the client the server."""
        for end in (self.client, self.server):
            if end.party.depth is not None:
                self.net.run(self.net.now + 0.2)
                end.party.endpoint.scout.set_depth(end.party.depth.hops)
        client, server = self.client, self.server
        box = b""

        def joined(session: int, _link: int) -> None:
            server.learn_address(session)
            if box:
                server.party.endpoint.sessions[session].register(box)

        server.on_relay = joined
        for relay in self.relays:
            server.join(relay)
        server.party.flush()
        self.net.run(INVITE)
        credential = self._invite()
        box = credential.mailbox()
        for session, link in server.links.items():
            if link:
                server.party.endpoint.sessions[session].register(box)
        server.party.flush()
        self.net.run(SETTLE)

        def found(session: int, link: int) -> None:
            client.learn_address(session)
            path = Path(link, box_address(box))
            client.party.endpoint.try_path(self._attempt, path, now=self.net.now)

        client.on_relay = found
        for relay in self.relays:
            client.join(relay)
        # As the programs do: what may spoil a port at the server's NAT does not leave from the one to punch with.
        (port,) = client.party.endpoint.scout.request(1)
        self._attempt = client.party.endpoint.connect(credential, port=port, now=self.net.now)
        client.party.flush()

    def _invite(self) -> Credential:
        """Have the server expect the client, and tell it every address that it knows of itself, as a server does."""
        endpoint = self.server.party.endpoint
        slot = make_slot(
            self._random.randbytes,
            name="server",
            hello_header_key=self._random.randbytes(32),
            candidates=tuple(endpoint.candidates),
            relays=[],
            timestamp=0,
            validity=10**9,
        )
        credential = copied(slot.credential)
        endpoint.arm(slot, deadline=FOREVER)
        return credential

    def run(self, *, wait: float = 12.0) -> Cell:
        """Start, and run until both ends are direct or ``wait`` seconds passed."""
        self.start()
        self.net.run(SETTLE + wait, stop=lambda: self.client.direct and self.server.direct)
        return self

    @property
    def same(self) -> list[tuple[str, str]]:
        """List the pairs of NATs that would have done with every packet what these two did."""
        found = [self.net.gateway(gateway) for gateway in _GATEWAYS]
        agreeing = [each.others if isinstance(each, Twins) else () for each in found]
        return list(itertools.product(*((nat, *others) for nat, others in zip(self._nats, agreeing, strict=True))))

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.net.run(self.net.now + seconds)

    @property
    def verdict(self) -> str:
        """Return ``direct``, ``relay`` or ``fail``."""
        if self.client.opened_at is None:
            return "fail"
        return "direct" if self.client.direct else "relay"

    @property
    def took(self) -> float:
        """Return the seconds from the session's first moment to a direct path."""
        if self.client.direct_at is None or self.client.opened_at is None:
            return float("nan")
        return self.client.direct_at - self.client.opened_at

    @property
    def reason(self) -> Reason:
        """Return why the path is what it is."""
        if self.client.opened_at is None:
            return self.client.party.endpoint.why_silent()
        return self.client.path_reason

    @property
    def direct_both(self) -> bool:
        """Tell whether both ends use a direct path."""
        return self.client.direct and self.server.direct

    def cut(self, *, direct: bool) -> None:
        """Let nothing pass between the two ends but through the relay, or everything again."""
        relay = {address.host for each in self.relays for address in each.addresses}
        self.net.passes = lambda each: not direct or bool({each.source.host, each.destination.host} & relay)

    def roam(self, who: str) -> None:
        """Give the gateway of an end another address."""
        self.net.renumber("g1" if who == "client" else "g2", NEW_ADDRESS)

    def relay_of(self, end: Peer) -> Relay | None:
        """Return the relay that carries the session as an end sees it, None if it is direct."""
        port = end.session.path.port
        for session, link in end.links.items():
            if link == port:
                remote = end.party.endpoint.sessions[session].path.remote
                return next(one for one in self.relays if remote.host in {address.host for address in one.addresses})
        return None
