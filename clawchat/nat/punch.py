"""Prime, then fire: open a path through NATs on both sides, steered over a path that works already.

Each end sends one packet with a short time to live towards every address of the other: it opens the end's own
NAT and dies before the peer's, where an early packet could claim the very mapping the peer needs. Then it says
PUNCH. Who has primed and heard PUNCH fires full probes: by then both NATs are open, whenever each end began.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final, NamedTuple

from clawchat.values.address import Path
from clawchat.values.limits import FIRE_TIMES, PUNCH_ROUNDS
from clawchat.values.timers import NEVER

MAX_ROUND: Final = 0xFF


class Stage(IntEnum):
    """Where a round stands."""

    RESTING = auto()
    PRIMED = auto()
    FIRING = auto()


class Shot(NamedTuple):
    """A probe to send by a path; ``ttl`` None for the system's."""

    path: Path
    ttl: int | None


class Puncher:
    """Decide when to prime and when to fire, round after round, until a direct path is found.

    ``deadline`` is when ``take`` has something; ``announce`` is the round to say PUNCH for, None if it was said.
    """

    __slots__ = (
        "_fired",
        "_peer_ready",
        "_prime_ttl",
        "_round",
        "_started",
        "_targets",
        "announce",
        "deadline",
        "stage",
    )

    def __init__(self, prime_ttl: int) -> None:
        self.stage = Stage.RESTING
        self.deadline = NEVER
        self.announce: int | None = None
        self._prime_ttl = prime_ttl
        self._targets: tuple[Path, ...] = ()
        self._round = 0
        self._peer_ready = -1
        self._started = 0.0
        self._fired = 0

    @property
    def active(self) -> bool:
        """Tell whether there is anything to punch towards."""
        return bool(self._targets)

    def begin(self, targets: tuple[Path, ...], *, now: float) -> None:
        """Punch by these paths, from the first round on."""
        self._targets = targets
        self._round = 0
        self._started = now
        self.stage = Stage.RESTING
        self.deadline = now if self._targets else NEVER

    def stop(self) -> None:
        """Rest: a direct path is in use."""
        self._targets = ()
        self.stage = Stage.RESTING
        self.deadline = NEVER
        self.announce = None

    def on_punch(self, number: int, *, now: float) -> None:
        """Note that the peer's NAT is open for us in a round."""
        self._peer_ready = max(self._peer_ready, number)
        if self.stage is Stage.PRIMED and number >= self._round:
            self._fire(now)
        elif self.stage is Stage.RESTING and self._targets and number >= self._round:
            self.deadline = now

    def take(self, *, now: float) -> list[Shot]:
        """Return the probes to send now, and move on."""
        if now < self.deadline:
            return []
        if self.stage is Stage.RESTING:
            self.stage = Stage.PRIMED
            self.announce = self._round
            self.deadline = self._next_round()
            shots = [Shot(path, self._prime_ttl) for path in self._targets]
            if self._peer_ready >= self._round:
                self._fire(now)
            return shots
        if self.stage is Stage.PRIMED:
            # the peer never said it was ready: begin again
            self._end_round(now)
            return []
        self._fired += 1
        if self._fired == len(FIRE_TIMES):
            self._end_round(now)
        else:
            self.deadline = now + FIRE_TIMES[self._fired] - FIRE_TIMES[self._fired - 1]
        return [Shot(path, None) for path in self._targets]

    def _fire(self, now: float) -> None:
        self.stage = Stage.FIRING
        self._fired = 0
        self.deadline = now

    def _end_round(self, now: float) -> None:
        self.stage = Stage.RESTING
        self.deadline = max(now, self._next_round())
        self._round = min(self._round + 1, MAX_ROUND)

    def _next_round(self) -> float:
        beyond = max(0, self._round + 2 - len(PUNCH_ROUNDS))
        number = min(self._round + 1, len(PUNCH_ROUNDS) - 1)
        return self._started + PUNCH_ROUNDS[number] + beyond * PUNCH_ROUNDS[-1]
