"""Two ends, a simulated network and virtual time: real endpoints, of which every run is a function of its seed.

    pair = Pair(seed=1, link=Link(loss=0.1)).handshake()
    stream = pair.client.open(b"hello", fin=True)
    pair.drive(until=lambda: pair.server.heard(stream) == b"hello")

Nothing here sleeps or reads a clock. ``datagrams`` holds everything that was ever sent and what became of it,
``trace`` every event that an end told its program.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import replace
from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, Self, TypeVar

from clawchat.crypto.credential import Credential, Slot, make_slot
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.session.session import Session
from clawchat.values.address import Address, Path
from clawchat.values.events import ClosePort, Event, OpenPort, SessionOpened, StreamReadable
from tests.support.link import Link, batches

CLIENT = Address("203.0.113.9", 50_009)
SERVER = Address("198.51.100.1", 50_001)
START = 1000.0
QUIET = 3.0
"""A network on which nobody has spoken for so long is quiet: keepalives come later than any retry."""
SPIN = 20_000
"""An end that wants to act this often at one moment never stops."""

_E = TypeVar("_E")


class Sent(NamedTuple):
    """A datagram: when and by whom it was sent, from where to where, and when copies of it arrive."""

    at: float
    sender: str
    source: Address
    path: Path
    data: bytes
    arrivals: tuple[float, ...]


class Told(NamedTuple):
    """An event: when, and whose program was told."""

    at: float
    end: str
    event: str


class End:
    """One program: an endpoint, where it is reached, and an application that reads what comes.

    ``ports`` maps its port handles to their public addresses; changing one is what a NAT does when it rebinds.
    ``reading`` False leaves what arrives in the session, for the test or for flow control to notice.
    """

    def __init__(self, name: str, address: Address, link: Link, endpoint: Endpoint) -> None:
        self.name = name
        self.host = address.host
        self.ports = {0: address}
        self.link = link
        self.endpoint = endpoint
        self.events: list[Event] = []
        self.reading = True
        self.opened: Session | None = None
        self._received: dict[tuple[int, int], bytearray] = {}
        self._ended: set[tuple[int, int]] = set()

    @property
    def address(self) -> Address:
        """Where others reach the first port."""
        return self.ports[0]

    @property
    def session(self) -> Session:
        """The session that opened last, over or not."""
        assert self.opened is not None, f"no session opened at the {self.name}"
        return self.opened

    def alive(self) -> bool:
        """Tell whether the endpoint still holds the session that opened last."""
        return self.opened is not None and self.opened.id in self.endpoint.sessions

    def open(self, data: bytes = b"", *, fin: bool = False) -> int:
        """Open a stream and write to it."""
        stream = self.session.open_stream()
        if data or fin:
            self.session.write(stream, data, fin=fin)
        return stream

    def heard(self, stream: int, session: int | None = None) -> bytes:
        """Return all that was read from a stream, of the session that opened last if not said otherwise."""
        return bytes(self._received.get((session or self.session.id, stream), b""))

    def ended(self, stream: int, session: int | None = None) -> bool:
        """Tell whether a stream was read to its end."""
        return (session or self.session.id, stream) in self._ended

    def told(self, kind: type[_E]) -> list[_E]:
        """Return the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def read_all(self, stream: int, limit: int = -1) -> None:
        """Read what a stream holds, as the application does when it is told."""
        self._read(self.session, stream, limit)

    def take(self, event: Event) -> None:
        """Do what the application does about an event."""
        self.events.append(event)
        match event:
            case SessionOpened(session):
                self.opened = self.endpoint.sessions[session]
            case StreamReadable(session, stream) if self.reading and session in self.endpoint.sessions:
                self._read(self.endpoint.sessions[session], stream, -1)

    def _read(self, session: Session, stream: int, limit: int) -> None:
        key = (session.id, stream)
        while data := session.read(stream, limit):
            assert limit < 0 or len(data) <= limit
            self._received.setdefault(key, bytearray()).extend(data)
        if session.at_end(stream):
            self._ended.add(key)


class Pair:
    """A client and a server (and whoever else ``add`` brings) on one simulated network."""

    def __init__(  # noqa: PLR0913 - what two ends and two links may differ in
        self,
        *,
        seed: int = 1,
        link: Link | None = None,
        back: Link | None = None,
        config: EndpointConfig | None = None,
        client: EndpointConfig | None = None,
        keylog: bool = False,
        ends: tuple[Address, Address] = (CLIENT, SERVER),
    ) -> None:
        """Give ``link`` from client to server, ``back`` the other way if it differs; ``config`` is the server's."""
        self.seed = seed
        self.now = START
        self.chance = random.Random(seed)
        self.keylog: list[str] | None = [] if keylog else None
        self.ends: list[End] = []
        self.datagrams: list[Sent] = []
        self.trace: list[Told] = []
        self._order = count()
        self._under_way: list[tuple[float, float, int, End, int, Address, bytes, bool]] = []
        self.client = self.add("client", ends[0], link, client)
        self.server = self.add("server", ends[1], back or link, config)

    def add(self, name: str, address: Address, link: Link | None = None, config: EndpointConfig | None = None) -> End:
        """Put another program on the network."""
        return self.place(name, address, Endpoint, link=link, config=config)

    def place(
        self,
        name: str,
        address: Address,
        make: type[Endpoint],
        *,
        link: Link | None = None,
        config: EndpointConfig | None = None,
    ) -> End:
        """Put a program with an endpoint of some kind on the network."""
        chance = random.Random(f"{self.seed} {name}").randbytes
        keylog = None if self.keylog is None else self.keylog.append
        end = End(name, address, replace(link or Link()), make(random=chance, config=config, keylog=keylog))
        self.ends.append(end)
        return end

    # --- joining -----------------------------------------------------------------------------------

    def invite(
        self, *, name: str = "guest", life: float = 660.0, at: Iterable[Address] = (), reusable: bool = False
    ) -> Credential:
        """Arm a slot of the server for ``life`` seconds; return what its guest holds."""
        chance = random.Random(f"{self.seed} slot {name}").randbytes
        slot = make_slot(
            chance,
            name=name,
            hello_header_key=chance(32),
            candidates=tuple(at) or (self.server.address,),
            relays=[],
            timestamp=0,
            validity=660,
            reusable=reusable,
        )
        return self.arm(slot, life=life)

    def arm(self, slot: Slot, *, life: float = 660.0) -> Credential:
        """Arm a slot of the server; return a copy of its credential, as a file would carry it."""
        self.server.endpoint.arm(slot, deadline=self.now + life)
        return deepcopy(slot.credential)

    def join(self, credential: Credential, end: End | None = None, *, timeout: float = 60.0) -> int:
        """Let an end begin a handshake; return the id of its session to be."""
        return (end or self.client).endpoint.connect(credential, port=0, now=self.now, timeout=timeout)

    def handshake(self) -> Self:
        """Join client and server."""
        self.join(self.invite())
        return self.drive(until=lambda: self.client.opened is not None and self.server.opened is not None)

    # --- time --------------------------------------------------------------------------------------

    def drive(
        self, seconds: float | None = None, *, until: Callable[[], bool] | None = None, limit: float = 900
    ) -> Self:
        """Let time pass: for some ``seconds``, or until something is so, or until the network is quiet.

        What is waited for must come within ``limit`` seconds.
        """
        begin = self.now
        stop = begin + (limit if seconds is None else seconds)
        last_word = begin
        idle = 0
        self._serve_all()
        while until is None or not until():
            following = self._next()
            if seconds is None and until is None:
                last_word = max(last_word, self.datagrams[-1].at if self.datagrams else begin)
                if not self._under_way and following > last_word + QUIET:
                    stop = last_word + QUIET
            if following > stop:
                self.now = max(self.now, stop)
                assert until is None, f"not so after {limit:.0f} s: {self.summary()}"
                break
            idle = idle + 1 if following <= self.now else 0
            assert idle < SPIN, f"an end can't stop: {self.summary()}"
            self.now = max(self.now, following)
            self._deliver()
            for end in self.ends:
                due = end.endpoint.next_timeout()
                if due is not None and due <= self.now:
                    end.endpoint.handle_timeout(now=self.now)
                    self.serve(end)
        return self

    def _next(self) -> float:
        times = [end.endpoint.next_timeout() for end in self.ends]
        times.append(self._under_way[0][0] if self._under_way else None)
        return min((time for time in times if time is not None), default=float("inf"))

    def _serve_all(self) -> None:
        for end in self.ends:
            self.serve(end)

    def serve(self, end: End) -> None:
        """Let a program take its events, and send what its endpoint has to send."""
        rounds = 0
        while self._take_events(end) | self._send(end):
            rounds += 1
            assert rounds < SPIN, f"the {end.name} never stops: {self.summary()}"

    def _take_events(self, end: End) -> bool:
        events = list(end.endpoint.events())
        for event in events:
            self.trace.append(Told(self.now, end.name, repr(event)))
            match event:
                case OpenPort(handle, address):
                    number = address.port if address is not None else self.chance.randrange(1024, 49_152)
                    end.ports[handle] = Address(end.host, number)
                    end.endpoint.port_opened(handle, end.ports[handle], now=self.now)
                case ClosePort(handle):
                    del end.ports[handle]
            end.take(event)
        return bool(events)

    def _send(self, end: End) -> bool:
        transmits = end.endpoint.transmits(now=self.now)
        for transmit in transmits:
            data = bytes(transmit.data)
            assert 0 < transmit.size <= len(data)
            for at in range(0, len(data), transmit.size):
                self._post(end, transmit.path, data[at : at + transmit.size])
        return bool(transmits)

    def _post(self, end: End, path: Path, data: bytes) -> None:
        source = end.ports.get(path.port)
        if source is None:
            return  # as a driver does: the port was closed while somebody was still to be answered there
        link = end.link
        arrivals = link.arrivals(len(data), now=self.now, chance=self.chance)
        self.datagrams.append(Sent(self.now, end.name, source, path, data, arrivals))
        targets = [(other, handle) for other in self.ends for handle, at in other.ports.items() if at == path.remote]
        for target, handle in targets:
            for arrival in arrivals:
                item = (link.wake(arrival), arrival, next(self._order), target, handle, source, data, link.coalesce)
                heappush(self._under_way, item)

    # --- arriving ----------------------------------------------------------------------------------

    def _deliver(self) -> None:
        touched: dict[str, End] = {}
        while self._under_way and self._under_way[0][0] <= self.now:
            *_, target, handle, source, data, coalesce = heappop(self._under_way)
            together = [data]
            while self._under_way and coalesce:
                when, _, _, *to, following, joins = self._under_way[0]
                if when > self.now or to != [target, handle, source] or not joins:
                    break
                together.append(following)
                heappop(self._under_way)
            for batch, size in batches(together):
                self.inject(target, batch, source, size=size, port=handle)
            touched[target.name] = target
        for end in touched.values():
            self.serve(end)

    def inject(self, target: End, data: bytes, source: Address, *, size: int = 0, port: int = 0) -> None:
        """Hand an end bytes as if they came from an address, in datagrams of ``size`` or as one."""
        path = Path(port, source)
        target.endpoint.receive(memoryview(data), size or len(data), path, now=self.now)

    # --- looking back ------------------------------------------------------------------------------

    def sent_by(self, end: End) -> list[Sent]:
        """Return the datagrams that an end sent."""
        return [sent for sent in self.datagrams if sent.sender == end.name]

    def outage(self, *, up: bool = False) -> None:
        """Cut every link, or mend it."""
        for end in self.ends:
            end.link.up = up

    def summary(self) -> str:
        """Describe where everybody stands, for the message of a failed assertion."""
        lines = [f"at {self.now:.3f} after {len(self.datagrams)} datagrams"]
        for end in self.ends:
            sessions = [(s.id, str(s.state), s.stats(now=self.now)) for s in end.endpoint.sessions.values()]
            lines.append(f"{end.name}: due {end.endpoint.next_timeout()}, drops {dict(end.endpoint.drops)}, {sessions}")
        lines += [f"{told.at:.3f} {told.end} {told.event}" for told in self.trace[-8:]]
        return "\n".join(lines)
