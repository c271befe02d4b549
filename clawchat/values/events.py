"""What an endpoint tells its program: a closed union of frozen records.

Consume them with ``match`` and ``assert_never``. ``session`` is a session's id, ``stream`` a stream's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from clawchat.values.address import Address, Path
from clawchat.values.errors import SessionClosed


class Role(Enum):
    """Which side of the handshake an end was."""

    INITIATOR = "initiator"
    RESPONDER = "responder"


@dataclass(frozen=True, slots=True)
class OpenPort:
    """Ask the driver for a UDP socket; it answers with ``port_opened`` or ``port_failed``."""

    handle: int
    address: Address | None


@dataclass(frozen=True, slots=True)
class ClosePort:
    """Ask the driver to close a UDP socket."""

    handle: int


@dataclass(frozen=True, slots=True)
class PortReady:
    """A port to move to is open: prepare it, and call ``announce_port`` with where it is reached."""

    handle: int
    address: Address


@dataclass(frozen=True, slots=True)
class PortMoved:
    """The endpoint uses a new port; ``left`` sessions could not follow and go on by the old one."""

    old: int
    new: int
    left: int


@dataclass(frozen=True, slots=True)
class PortKept:
    """A move to another port came to nothing; it is tried again later."""

    why: str


@dataclass(frozen=True, slots=True)
class PortClosed:
    """An old port is of no more use to anybody, and is closed."""

    handle: int


@dataclass(frozen=True, slots=True)
class SessionOpened:
    """A handshake is confirmed on both ends; ``words`` must read the same there."""

    session: int
    role: Role
    slot_id: bytes
    words: str
    path: Path


@dataclass(frozen=True, slots=True)
class SlotConfirmed:
    """A client confirmed this credential: erase it and delete its security file."""

    slot_id: bytes
    session: int


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over; ``error`` says how."""

    session: int
    error: SessionClosed


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream."""

    session: int
    stream: int


@dataclass(frozen=True, slots=True)
class StreamReadable:
    """A stream has bytes, or its end, to read; told again only after a read emptied it."""

    session: int
    stream: int


@dataclass(frozen=True, slots=True)
class StreamWritable:
    """A stream that was full has room again."""

    session: int
    stream: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    """The peer gave up sending on a stream."""

    session: int
    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class StreamStopped:
    """The peer no longer wants what we send on a stream."""

    session: int
    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class StreamDelivered:
    """The peer has acknowledged everything written to a stream, its end included."""

    session: int
    stream: int


@dataclass(frozen=True, slots=True)
class DatagramReceived:
    """An unreliable message arrived."""

    session: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PingAnswered:
    """The peer acknowledged a ping; ``rtt`` is in seconds."""

    session: int
    token: int
    rtt: float


@dataclass(frozen=True, slots=True)
class BoxRegistered:
    """A session wants what comes for a box at this relay."""

    session: int
    box: bytes


@dataclass(frozen=True, slots=True)
class ForwardReceived:
    """A session wants a datagram passed on to a box of this relay; or a relay passed one on from a box."""

    session: int
    box: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class PathChanged:
    """The session now uses this path; ``why`` is a short stable word."""

    session: int
    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """Both ends have the keys of this epoch, and those before it are gone or end in seconds."""

    session: int
    epoch: int


@dataclass(frozen=True, slots=True)
class CompromisedHeard:
    """The peer declared the keys compromised: the session's are gone, and ``everything`` else is to go as well."""

    session: int
    everything: bool


PortEvent = PortReady | PortMoved | PortKept | PortClosed
"""What concerns no single session."""

Event = (
    OpenPort
    | ClosePort
    | PortEvent
    | SessionOpened
    | SlotConfirmed
    | SessionEnded
    | StreamOpened
    | StreamReadable
    | StreamWritable
    | StreamReset
    | StreamStopped
    | StreamDelivered
    | DatagramReceived
    | PingAnswered
    | BoxRegistered
    | ForwardReceived
    | PathChanged
    | KeysChanged
    | CompromisedHeard
)
