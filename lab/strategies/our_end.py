"""Our own client and server as ends of a duel: the real core on real sockets, without the rest of the programs.

The client goes the same ways as the program does (`client.ways`), and the server's security file says where relays
have seen it. Behind a NAT that lets in only what was sent to, a relay has to introduce the two, and they have to punch.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

from clawchat.crypto.credential import Credential, make_slot
from clawchat.crypto.relay_text import read_relay
from clawchat.crypto.secfile import decode_credential, encode_credential
from clawchat.net.connection import opened_session
from clawchat.net.driver import Node
from clawchat.net.interfaces import host_candidates
from clawchat.net.relays import Membership, Relays
from clawchat.net.stun import measure_depth
from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError, SessionClosed
from clawchat.values.events import Event, PathChanged, Role, SessionOpened
from client.settings import Way
from client.ways import RelayedWays
from lab.strategies.outcome import Order, Outcome, judged

ANY: Final = "0.0.0.0"  # noqa: S104 - an end of the laboratory has one interface
KEY_BYTES: Final = 32
VALID_SECONDS: Final = 3600
JOIN_SECONDS: Final = 4.0
"""How long a server waits for its relays; one behind a gateway that blocks UDP never joins any."""

OPEN_SECONDS: Final = 8.0
"""How long a client tries to reach its server over a relay."""

PING_SECONDS: Final = 1.0
CLOSE_SECONDS: Final = 0.2

_depths: dict[str, int | None] = {}
"""What was measured on the way to a host: a process stays behind the same NATs."""


class Count:
    """Count the datagrams that a node sends towards its peer; relays are not the peer."""

    def __init__(self, relays: Sequence[Credential]) -> None:
        self.times: list[float] = []
        """When each of them left."""
        self._relays = {address.host for relay in relays for address in relay.candidates}

    def received(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        """Leave what comes alone."""

    def sent(self, transmit: Transmit, *, now: float) -> None:
        """Count a batch."""
        if transmit.path.remote.host not in self._relays:
            self.times += [now] * -(-len(transmit.data) // transmit.size)

    def until(self, time: float | None) -> int:
        """Return how many left until then, None for now."""
        return len(self.times) if time is None else bisect_right(self.times, time)


class OurEnd:
    """What client and server have in common: an endpoint, a port, and when what happened."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.relays = [read_relay(text) for text in order.relays]
        self.endpoint = Endpoint(random=os.urandom)
        self.count = Count(self.relays)
        self.node = Node(self.endpoint, on_event=self._on_event, tap=self.count, watch=False)
        self.session = 0
        self.moved = asyncio.Event()
        self._members: set[int] = set()
        self._opened_at: float | None = None
        self._direct_at: float | None = None
        self._sent_before = 0

    async def open(self) -> int:
        """Open the port; return its handle."""
        if not self.order.blind:
            self.endpoint.scout.set_depth(await self._depth())
        port = await self.node.open_port(Address(ANY, 0))
        self.endpoint.candidates = tuple(host_candidates(self.node.ports[port].address))
        return port

    def outcome(self, until: float | None = None) -> Outcome:
        """Judge the end as it stands; count what it sent until a moment, or until it was direct itself."""
        session = self.endpoint.sessions.get(self.session)
        reason = str(self.endpoint.why_silent() if session is None else session.path_reason)
        sent = self.count.until(until or self._direct_at) - self._sent_before
        return judged(self._opened_at, self._direct_at, sent, reason)

    async def close(self) -> None:
        """Close everything."""
        await self.node.close(limit=CLOSE_SECONDS)

    async def _depth(self) -> int | None:
        host, number = self.order.servers[0]
        if host not in _depths:
            with contextlib.suppress(PersonalError):
                _depths[host] = (await measure_depth(Address(host, number), ANY)).hops
        return _depths.get(host)

    def _is_peer(self, session: int) -> bool:
        """Tell our session with the peer from those with relays."""
        raise NotImplementedError

    def _on_event(self, event: Event) -> None:
        match event:
            case SessionOpened(session, path=path) if self._is_peer(session):
                self.session = session
                self._opened_at = time.monotonic()
                if event.role is Role.INITIATOR:
                    # What went to the addresses of the security file was to be answered, not to open anything.
                    self._sent_before = len(self.count.times)
                if not path.relayed:
                    self._note_direct()
                # A process that gets no turn: neither timers nor sockets are looked at.
                time.sleep(self.order.late)
            case PathChanged(session, path) if session == self.session and not path.relayed:
                self._note_direct()

    def _note_direct(self) -> None:
        if self._direct_at is None:
            self._direct_at = time.monotonic()
            self.moved.set()


class OurServer(OurEnd):
    """A server for one client; `credential` is what its security file would hold."""

    def __init__(self, order: Order) -> None:
        super().__init__(order)
        self.credential = b""
        self._slot_id = b""
        self._joined = asyncio.Event()
        self._membership: Relays | None = None

    async def start(self) -> None:
        """Join the relays and wait for a client."""
        port = await self.open()
        self._membership = Relays(self.node, self.endpoint, self.relays, port=port, on_joined=self._on_joined)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._joined.wait(), JOIN_SECONDS)
        slot = make_slot(
            os.urandom,
            name="server",
            hello_header_key=os.urandom(KEY_BYTES),
            candidates=self.endpoint.candidates,
            relays=self.order.relays,
            timestamp=int(time.time()),
            validity=VALID_SECONDS,
        )
        self.credential = bytes(encode_credential(slot.credential))
        self._slot_id = slot.credential.slot_id
        self.endpoint.arm(slot, deadline=time.monotonic() + VALID_SECONDS)
        for member in self._members:
            self.endpoint.sessions[member].register(bytes(slot.keys.mailbox))
        self.node.flush()

    async def close(self) -> None:
        """Close everything."""
        if self._membership is not None:
            await self._membership.leave()
        await super().close()

    def _on_joined(self, member: Membership) -> None:
        self._members.add(member.session)
        if member.observed is not None:
            found = dict.fromkeys((*self.endpoint.candidates, member.observed))
            self.endpoint.candidates = tuple(found)
        if len(self._members) == len(self.relays):
            self._joined.set()

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SessionOpened) and event.slot_id == self._slot_id:
            self.session = event.session
        super()._on_event(event)

    def _is_peer(self, session: int) -> bool:
        return session == self.session


class OurClient(OurEnd):
    """A client that ends when its path is direct, or its time is up."""

    async def run(self) -> Outcome:
        """Reach the server, wait for a direct path, close everything."""
        port = await self.open()
        credential = decode_credential(bytes.fromhex(self.order.credential))
        ways = RelayedWays(self.node, self.endpoint, credential, Way.AUTO)
        # As the program does: what may spoil a port at the server's NAT does not leave from the one to punch with.
        (hello,) = self.endpoint.scout.request(1)
        self.session = self.endpoint.connect(credential, port=hello, now=time.monotonic(), timeout=OPEN_SECONDS)
        try:
            ways.begin(self.session, port=port)
            connection = await opened_session(self.node, self.session)
            ways.opened(connection)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.moved.wait(), self.order.limit)
                # The server follows the newest packets, so it is direct as well when this is answered.
                await asyncio.wait_for(connection.ping(), PING_SECONDS)
        except SessionClosed:
            return self.outcome()
        else:
            return self.outcome()
        finally:
            await ways.close()
            await self.close()

    def _is_peer(self, session: int) -> bool:
        return session == self.session
