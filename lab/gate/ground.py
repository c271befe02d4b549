"""What a probe needs of a backend, and the kit of sockets that one probe uses."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from clawchat.values.address import Address
from lab.gate.claims import Claim
from lab.model.plan import Plan

PROBE_PORTS: Final = range(10_000, 20_000)
"""Local ports of probes: below what systems give out by themselves, outside every pool of the presets."""

ARRIVAL: Final = 2.0
"""Seconds that a datagram which has to arrive may take; a busy machine needs a few tenths."""

SILENCE: Final = 0.5
"""Seconds without a datagram after which it counts as dropped; it would have arrived in less than a millisecond."""


class Arrival(NamedTuple):
    """A datagram that a socket received."""

    payload: bytes
    source: Address


class Socket(Protocol):
    """A UDP socket of some node."""

    @property
    def address(self) -> Address:
        """Return the node's own address and port."""

    def send(self, payload: bytes, to: Address, *, ttl: int | None = None) -> None:
        """Send a datagram, with the system's TTL when none is given."""

    async def receive(self, patience: float) -> Arrival | None:
        """Return the next datagram; None when there was none for so many seconds."""

    async def refused(self, patience: float) -> bool:
        """Tell whether an ICMP message says that a port is closed, waiting so many seconds for it."""

    def close(self) -> None:
        """Give the port back."""


class Ground(Protocol):
    """A backend as probes see it."""

    plan: Plan

    def open(self, node: str, address: Address) -> Socket:
        """Open a UDP socket of a node, bound to this address."""

    def now(self) -> float:
        """Return the time in seconds, from any start."""

    async def rest(self, seconds: float) -> None:
        """Let time pass."""

    async def connects(self, node: str, to: Address) -> bool:
        """Tell whether a TCP connection from a node to a listening public host comes about."""


class Suspect(NamedTuple):
    """A gateway under trial, with what stands around it."""

    title: str
    claim: Claim
    peer: str
    mate: str
    """A second machine behind the same gateway."""
    brief: tuple[str, ...]
    """Machines behind twins of the gateway whose lifetimes are short, each behind its own."""
    brief_claim: Claim


_ports: Iterator[int] = itertools.cycle(PROBE_PORTS)


class Kit:
    """The sockets of one probe at one gateway; leaving it closes them."""

    def __init__(self, ground: Ground, suspect: Suspect, *, twin: int = 0) -> None:
        self.ground = ground
        self._twin = twin
        self.suspect = suspect
        self.claim = suspect.claim
        self._open: list[Socket] = []

    @staticmethod
    def port() -> int:
        """Return a local port that no probe has used lately."""
        return next(_ports)

    def inside(self, port: int | None = None) -> Socket:
        """Open a socket of the machine behind the gateway."""
        return self._peer(self.suspect.peer, port)

    def mate(self, port: int | None = None) -> Socket:
        """Open a socket of the second machine behind the gateway."""
        return self._peer(self.suspect.mate, port)

    def brief(self) -> Socket:
        """Open a socket of a machine behind a twin with short lifetimes."""
        twins = self.suspect.brief
        return self._peer(twins[self._twin % len(twins)], None)

    def outside(self, host: str, place: int = 0) -> Socket:
        """Open a socket of a public host, on one of its addresses."""
        return self._opened(host, Address(self.ground.plan.hosts[host].addresses[place], self.port()))

    @property
    def wan(self) -> str:
        """Return the address under which the machine behind the gateway is known outside."""
        peer = self.ground.plan.peers[self.suspect.peer]
        outermost = [one for one in self.ground.plan.layers(peer.gateway) if one.nat.translates]
        return outermost[-1].wan if outermost else peer.address

    def _peer(self, name: str, port: int | None) -> Socket:
        address = Address(self.ground.plan.peers[name].address, self.port() if port is None else port)
        return self._opened(name, address)

    def _opened(self, node: str, address: Address) -> Socket:
        socket = self.ground.open(node, address)
        self._open.append(socket)
        return socket

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in self._open:
            socket.close()


async def heard_from(near: Socket, far: Socket, *, patience: float = ARRIVAL, ttl: int | None = None) -> Address | None:
    """Send a datagram and return the address from which it came; None when it did not come."""
    payload = b"%d>%d" % (near.address.port, far.address.port)
    near.send(payload, far.address, ttl=ttl)
    while arrival := await far.receive(patience):
        if arrival.payload == payload:
            return arrival.source
    return None


async def reaches(far: Socket, to: Address, near: Socket, *, patience: float = SILENCE) -> bool:
    """Send a datagram to some address and tell whether it arrives at a socket."""
    payload = b"%d?%d" % (far.address.port, near.address.port)
    far.send(payload, to)
    while arrival := await near.receive(patience):
        if arrival.payload == payload:
            return True
    return False
