"""What a program tells its user: a closed union of frozen records.

The terminal, pipes, scripts and windows all consume these; ``clawchat.net.events_json`` writes them as lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Connecting:
    """A handshake with the server was begun."""

    server: str
    candidates: int
    timeout: float
    relays: int = 0


@dataclass(frozen=True, slots=True)
class Connected:
    """The session is up; the safety words must read the same on the other end."""

    server: str
    words: str
    path: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Welcomed:
    """The chat knows us by this name."""

    name: str
    rooms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """Somebody entered a room; ``members`` is told when it was us."""

    room: str
    name: str
    members: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Somebody left a room."""

    room: str
    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Renamed:
    """Somebody has another name now."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Message:
    """Somebody said something, in a room or to us alone; ``past`` marks history."""

    number: int
    sender: str
    text: str
    at: int
    room: str | None = None
    to: str | None = None
    past: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A message of ours is on its way; ``id`` comes back in its receipts."""

    id: str
    text: str
    room: str | None = None
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The server has our message, and it goes to ``waiting`` others."""

    id: str
    number: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Delivered:
    """The client of ``name`` has our message; ``waiting`` others have not confirmed it yet."""

    id: str
    name: str
    waiting: int


@dataclass(frozen=True, slots=True)
class Members:
    """Who is in a room."""

    room: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rooms:
    """Which rooms there are; ``counts`` are their members, in the order of ``names``."""

    names: tuple[str, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The chat did not do what we asked; ``about`` is the request or a message's id."""

    about: str
    reason: str


@dataclass(frozen=True, slots=True)
class Missed:
    """The server left out messages to us, because we were too slow."""

    count: int


@dataclass(frozen=True, slots=True)
class PathChanged:
    """The session uses another path now."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """The session has new keys, as it has every hour; ``epoch`` counts them."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Silent:
    """Nothing was heard for ``seconds``; the session goes on trying."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Back:
    """The other end is heard again after ``seconds``."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ComingBack:
    """The session is lost for this reason; another one is tried for, for ``seconds`` at most."""

    server: str
    cause: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Pong:
    """A ping was answered; ``not_direct`` says why a relay carried it, by the code of the reason."""

    sequence: int
    rtt_ms: float
    path: str
    not_direct: str | None = None


@dataclass(frozen=True, slots=True)
class PingLost:
    """A ping was not answered in time."""

    sequence: int


@dataclass(frozen=True, slots=True)
class PingSummary:
    """All pings are done; times are None when none was answered."""

    sent: int
    answered: int
    min_ms: float | None
    mean_ms: float | None
    max_ms: float | None


@dataclass(frozen=True, slots=True)
class Status:
    """How a session is doing."""

    server: str
    state: Literal["connecting", "connected", "silent", "closed"]
    pid: int
    name: str = ""
    room: str = ""
    words: str = ""
    path: str = ""
    rtt_ms: float | None = None
    loss: float | None = None
    sent: int = 0
    delivered: int = 0
    age: float = 0.0
    not_direct: str | None = None
    epoch: int = 0
    key_age: float = 0.0


@dataclass(frozen=True, slots=True)
class NetCheck:
    """What was found out about the network we are in; what was not asked for, or not found, is empty or left out."""

    reach: Literal["open", "mapped", "firewalled", "easy", "predictable", "hard", "unknown", "blocked", "offline"]
    meaning: str
    hosts: tuple[str, ...]
    public: tuple[str, ...]
    ports: Literal["unknown", "preserving", "endpoint-independent", "sequential", "random"]
    step: int
    drift: float
    mapping: Literal["unknown", "endpoint-independent", "address-dependent", "address-and-port-dependent"]
    filtering: Literal["unknown", "endpoint-independent", "address-dependent", "address-and-port-dependent"]
    ipv6: Literal["none", "untested", "direct", "translated", "blocked"]
    answered: tuple[str, ...]
    silent: tuple[str, ...]
    rtt_ms: float | None = None
    gateway: str | None = None
    mapped: str | None = None
    mapped_by: str | None = None
    not_mapped: tuple[str, ...] = ()
    depth: int | None = None
    prime_ttl: int | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that the doctor looked at; ``action`` is the next step, empty where nothing need be done."""

    name: str
    outcome: Literal["pass", "fail", "skip"]
    found: str
    action: str = ""
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Something worth knowing that changes nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something failed; ``action`` is the next step."""

    code: str
    cause: str
    action: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; of ``sent`` messages the server has ``accepted``, all their readers ``delivered``."""

    code: str
    reason: str
    sent: int = 0
    accepted: int = 0
    delivered: int = 0


UserEvent: TypeAlias = (
    Connecting | Connected | Welcomed | Joined | Left | Renamed | Message | Said | Accepted | Delivered | Members
    | Rooms | Refused | Missed | PathChanged | KeysChanged | Silent | Back | ComingBack | Pong | PingLost | PingSummary
    | Status | NetCheck | Check | Notice | Problem | Closed
)  # fmt: skip
