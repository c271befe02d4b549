"""The machine that gets one mapping from a router by datagrams; the words are PCP's or NAT-PMP's."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple, Protocol, TypeAlias

from clawchat.nat.portmap import lease as leases
from clawchat.nat.portmap.epoch import EpochWatch
from clawchat.nat.portmap.lease import LIFETIME, LONGEST, Lease, Refusal
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram, UsageError
from clawchat.values.timers import NEVER

WAITS: Final = (0.25, 0.5, 0.5)
"""Seconds each request is given. RFC 6886 section 3.1 begins in the same way and goes on for a minute; RFC 6887
section 8.1.1 waits for three seconds first. A router is one hop away, and a person waits."""


class Able(NamedTuple):
    """The router speaks this protocol; ``epoch`` is its own clock in seconds, ``public`` its address if it says."""

    epoch: int
    public: str = ""


class Granted(NamedTuple):
    """The router maps, or has ended a mapping when the lifetime is 0."""

    external: Address
    lifetime: int
    epoch: int


class Refused(NamedTuple):
    """The router won't; ``final``: asking again is no use."""

    reason: str
    final: bool


Heard: TypeAlias = Able | Granted | Refused


class Dialect(Protocol):
    """The words of one protocol."""

    protocol: leases.Protocol

    def probe(self) -> bytes:
        """Encode the question whether the router speaks it."""

    def request(self, external: Address | None, lifetime: int) -> bytes:
        """Encode the wish for a mapping; a lifetime of 0 ends one."""

    def read(self, data: bytes) -> Heard:
        """Decode an answer. Raises BadDatagram."""


class State(Enum):
    """How far we are with the router."""

    IDLE = "idle"
    PROBING = "probing"
    ABLE = "able"
    ASKING = "asking"
    MAPPED = "mapped"
    CHECKING = "checking"
    RENEWING = "renewing"
    RELEASING = "releasing"
    UNABLE = "unable"


class Trigger(Enum):
    """What moves the machine on."""

    PROBE = "probe"
    ASK = "ask"
    RELEASE = "release"
    ABLE = "router able"
    RESTARTED = "router restarted"
    GRANTED = "granted"
    ENDED = "ended"
    REFUSED = "refused"
    SILENT = "silent"


TRANSITIONS: Final[dict[State, dict[Trigger, State]]] = {
    State.IDLE: {Trigger.PROBE: State.PROBING},
    State.PROBING: {
        Trigger.ABLE: State.ABLE,
        Trigger.RESTARTED: State.ABLE,
        Trigger.REFUSED: State.UNABLE,
        Trigger.SILENT: State.UNABLE,
    },
    State.ABLE: {Trigger.ASK: State.ASKING},
    State.ASKING: {
        Trigger.GRANTED: State.MAPPED,
        Trigger.REFUSED: State.UNABLE,
        Trigger.SILENT: State.UNABLE,
    },
    State.MAPPED: {
        Trigger.PROBE: State.CHECKING,
        Trigger.ASK: State.RENEWING,
        Trigger.RELEASE: State.RELEASING,
    },
    State.CHECKING: {
        Trigger.ABLE: State.MAPPED,
        Trigger.RESTARTED: State.RENEWING,
        Trigger.REFUSED: State.MAPPED,
        Trigger.SILENT: State.MAPPED,
        Trigger.RELEASE: State.RELEASING,
    },
    State.RENEWING: {
        Trigger.GRANTED: State.MAPPED,
        Trigger.REFUSED: State.UNABLE,
        Trigger.SILENT: State.MAPPED,
        Trigger.RELEASE: State.RELEASING,
    },
    State.RELEASING: {
        Trigger.ENDED: State.IDLE,
        Trigger.REFUSED: State.IDLE,
        Trigger.SILENT: State.IDLE,
    },
    State.UNABLE: {Trigger.PROBE: State.PROBING},
}
"""What is not in the table can't happen: an answer without a row is late, and a call without one is refused."""

_BUSY: Final = frozenset({State.PROBING, State.ASKING, State.CHECKING, State.RENEWING, State.RELEASING})


class Mapper:
    """Probe a router, ask it for a mapping of one port, renew that and give it back; one step at a time.

    ``lease`` is what is held, ``refusal`` why it is not. Whoever owns this decides when to renew.
    """

    def __init__(self, dialect: Dialect, internal: Address, *, lifetime: int = LIFETIME) -> None:
        self.state = State.IDLE
        self.lease: Lease | None = None
        self.refusal: Refusal | None = None
        self._dialect = dialect
        self._internal = internal
        self._lifetime = lifetime
        self._epochs = EpochWatch()
        self._datagram = b""
        self._sends = 0
        self._due_at = NEVER

    @property
    def protocol(self) -> leases.Protocol:
        """Return the protocol spoken."""
        return self._dialect.protocol

    @property
    def busy(self) -> bool:
        """Tell whether an answer is awaited."""
        return self.state in _BUSY

    def probe(self, *, now: float) -> None:
        """Ask whether the router speaks the protocol, or, with a mapping, whether it still knows of it."""
        self._begin(Trigger.PROBE, self._dialect.probe(), now)

    def ask(self, *, now: float, external: Address | None = None) -> None:
        """Ask for the mapping, with this external address if that can be, or renew it."""
        wish = self.lease.external if self.lease is not None else external
        self._begin(Trigger.ASK, self._dialect.request(wish, self._lifetime), now)

    def release(self, *, now: float) -> None:
        """Give the mapping back."""
        external = self.lease.external if self.lease is not None else None
        self._begin(Trigger.RELEASE, self._dialect.request(external, 0), now)
        self.lease = None

    def transmits(self, *, now: float) -> list[bytes]:
        """Return what is due to be sent; after the last wait the router counts as silent."""
        if now < self._due_at:
            return []
        if self._sends == len(WAITS):
            self._move(Trigger.SILENT)
            return []
        self._due_at = now + WAITS[self._sends]
        self._sends += 1
        return [self._datagram]

    def next_timeout(self) -> float:
        """Return when to call ``transmits``."""
        return self._due_at

    def unreachable(self) -> None:
        """Hear that nothing listens at the router's port: there is no point in waiting."""
        if self.busy:
            self._move(Trigger.SILENT)
            if self.state is State.UNABLE:
                self.refusal = Refusal(self.protocol, "nothing listens there")

    def receive(self, data: bytes, *, now: float) -> None:
        """Take a datagram of the router in. Raises BadDatagram for what is none, or comes too late."""
        heard = self._dialect.read(data)
        trigger = _trigger(heard)
        if trigger not in TRANSITIONS[self.state]:
            raise BadDatagram("portmap")
        if not isinstance(heard, Refused) and self._epochs.restarted(heard.epoch, now=now) and trigger is Trigger.ABLE:
            trigger = Trigger.RESTARTED
        if isinstance(heard, Able) and self.lease is not None and heard.public not in {"", self.lease.external.host}:
            trigger = Trigger.RESTARTED  # another address is as good as a restart: what was mapped leads nowhere
        if isinstance(heard, Refused):
            self.refusal = Refusal(self.protocol, heard.reason)
        elif isinstance(heard, Granted) and heard.lifetime:
            lifetime = float(min(heard.lifetime, LONGEST))
            self.lease = Lease(self.protocol, heard.external, self._internal, now, lifetime)
            self.refusal = None
        self._move(trigger)
        if self.state is State.RENEWING:  # the router has forgotten the mapping, and this was only a look
            self._send(self._dialect.request(self.lease.external if self.lease else None, self._lifetime), now)

    def _begin(self, trigger: Trigger, datagram: bytes, now: float) -> None:
        if trigger not in TRANSITIONS[self.state]:
            raise UsageError(f"{self.protocol.value} can't {trigger.value} while {self.state.value}")
        self.state = TRANSITIONS[self.state][trigger]
        self._send(datagram, now)

    def _send(self, datagram: bytes, now: float) -> None:
        self._datagram, self._sends, self._due_at = datagram, 0, now

    def _move(self, trigger: Trigger) -> None:
        self.state = TRANSITIONS[self.state][trigger]
        self._due_at = NEVER
        if self.state is State.UNABLE:
            self.lease = None
            if trigger is Trigger.SILENT:
                self.refusal = Refusal(self.protocol, "no answer")


def _trigger(heard: Heard) -> Trigger:
    match heard:
        case Able():
            return Trigger.ABLE
        case Granted():
            return Trigger.GRANTED if heard.lifetime else Trigger.ENDED
        case Refused():
            return Trigger.REFUSED
