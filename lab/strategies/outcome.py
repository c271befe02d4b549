"""What an end is told to do, and what became of it: lines of JSON between the laboratory and its ends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

from lab.matrix.expected import Verdict
from lab.strategies.strategy import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One duel, as one of its two ends has to fight it."""

    strategy: Strategy
    role: str
    """Either client or server."""
    room: str
    """Distinguishes this duel from all others at the rendezvous."""
    seed: int = 0
    late: float = 0.0
    """Seconds for which this end gets no turn when it is told to begin."""
    limit: float = 5.0
    """Seconds after which a client that is not direct counts as relayed."""
    servers: tuple[tuple[str, int], ...] = ()
    """Of a rival: two public hosts, the first of which introduces the ends."""
    relays: tuple[str, ...] = ()
    """Of ours: its relays, as security files name them."""
    credential: str = ""
    """Of our client: what the security file holds, in hexadecimal digits."""
    blind: bool = False
    """Of ours: do not measure how many NATs of our own there are."""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the order that as_json said."""
        servers = tuple((str(host), int(port)) for host, port in value["servers"])
        relays = tuple(value["relays"])
        return cls(**{**value, "strategy": Strategy(value["strategy"]), "servers": servers, "relays": relays})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an end."""

    verdict: Verdict
    took: float | None = None
    """Seconds from the moment it was told to begin until its path was direct."""
    sent: int = 0
    """Datagrams that it sent towards the peer until then."""
    reason: str = ""
    """Why the path is what it is, in the words of the end."""
    direct_at: float | None = None
    """When that was, by the monotonic clock that all processes of a machine share."""

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the outcome that as_json said."""
        return cls(**{**value, "verdict": Verdict(value["verdict"])})


def judged(signalled_at: float | None, direct_at: float | None, sent: int, reason: str = "") -> Outcome:
    """Judge an end by when it was told to begin and when it was direct."""
    if signalled_at is None:
        return Outcome(Verdict.FAIL, None, sent, reason)
    if direct_at is None:
        return Outcome(Verdict.RELAY, None, sent, reason)
    return Outcome(Verdict.DIRECT, direct_at - signalled_at, sent, reason, direct_at)
