"""Prime, then fire: open a path through NATs on both sides, steered over a path that works already.

Each end sends one packet with a short time to live towards every address of the other: it opens the end's own
NAT and dies before the peer's, where an early packet could claim the very mapping the peer needs. Then it says
PUNCH. Who has primed and heard PUNCH fires full probes: by then both NATs are open, whenever each end began.

A port that fired in vain may be spoilt. It is left alone, and the next round uses another one: a *lane* is one of
our ports with the addresses of the peer that belong to it. When no lane is fresh any more the *pass* is over; before
the next one begins, both ends have fresh ports.
"""

from __future__ import annotations

from enum import IntEnum, auto
from itertools import count
from typing import Final, NamedTuple

from clawchat.values.address import Path
from clawchat.values.limits import FIRE_TIMES, PORT_REST, PUNCH_PASSES, SILENT_FIRE
from clawchat.values.timers import NEVER

MAX_ROUND: Final = 0xFF
LAST_SPARE: Final = 2
"""The lane on which opening packets go further: perhaps they never left our own NATs."""

FURTHER: Final = 2
REFRESH_AHEAD: Final = 0.5
"""How long before a pass fresh ports are asked for, seconds: relays have to see them, and the peer to hear of them."""

LATE: Final = 1.0
"""A word of an earlier round that comes so long after that round, seconds, and two round trips, is of a new one."""

SHORTEST_TTL: Final = 2
"""A gateway counts a packet down before it maps it, so one that goes less far opens nothing."""


class Stage(IntEnum):
    """Where a round stands."""

    RESTING = auto()
    PRIMED = auto()
    FIRING = auto()


class Shot(NamedTuple):
    """A probe to send by a path; ``ttl`` None for the system's."""

    path: Path
    ttl: int | None


class Lane(NamedTuple):
    """Paths to prime and paths to probe, which mostly are the same; those of ``once`` are probed once a round."""

    prime: tuple[Path, ...]
    fire: tuple[Path, ...]
    once: tuple[Path, ...] = ()


class Puncher:
    """Decide when to prime and when to fire, round after round, until a direct path is found.

    ``deadline`` is when ``take`` has something; ``announce`` is the round to say PUNCH for, None if it was said.
    ``fired_at`` is when the first probe that should get through left, None before. ``refresh_at`` is when to get
    fresh ports for the next pass.
    """

    __slots__ = (
        "_fired",
        "_followed",
        "_lanes",
        "_peer_ready",
        "_rests_since",
        "_round",
        "_started",
        "_used_at",
        "announce",
        "deadline",
        "fired_at",
        "prime_ttl",
        "refresh_at",
        "rtt",
        "stage",
        "struck",
    )

    def __init__(self, prime_ttl: int) -> None:
        self.stage = Stage.RESTING
        self.deadline = NEVER
        self.refresh_at = NEVER
        self.announce: int | None = None
        self.fired_at: float | None = None
        self.prime_ttl = prime_ttl
        self.rtt = 0.0
        self.struck = False
        self._lanes: tuple[Lane, ...] = ()
        self._round = 0
        self._followed = False  # whether the round is the peer's choice
        self._peer_ready = -1
        self._rests_since = 0.0
        self._started = 0.0
        self._fired = 0
        self._used_at: list[float] = []

    @property
    def active(self) -> bool:
        """Tell whether there is anything to punch towards."""
        return bool(self._lanes)

    @property
    def primed(self) -> int | None:
        """Return the round our NAT is open for, None between rounds."""
        return None if self.stage is Stage.RESTING else self._round

    @property
    def lane(self) -> int:
        """Return which lane the round uses."""
        return self._round % len(self._lanes) if self._lanes else 0

    def begin(self, *lanes: Lane, peer_ready: int = -1, now: float) -> None:
        """Punch by these paths, from the first round on: the first lane first.

        ``peer_ready`` is the last round that the peer said PUNCH for, if that still holds.
        """
        self._lanes = lanes
        self._used_at = [-PORT_REST] * len(lanes)
        self._round = 0
        self._followed = False
        self._peer_ready = peer_ready
        self._rests_since = now
        self._started = now
        self.fired_at = None
        self.struck = False
        self.stage = Stage.RESTING
        self.deadline = now if self._lanes else NEVER
        self.refresh_at = NEVER

    def use(self, *lanes: Lane) -> None:
        """Take other lanes from now on; those of other ports are fresh."""
        if lanes and self.lane < len(lanes):
            known = dict(zip((frozenset(lane.fire) for lane in self._lanes), self._used_at, strict=True))
            self._lanes = lanes
            self._used_at = [known.get(frozenset(lane.fire), -PORT_REST) for lane in lanes]

    def stop(self) -> None:
        """Rest: a direct path is in use."""
        self._lanes = ()
        self.stage = Stage.RESTING
        self.deadline = NEVER
        self.refresh_at = NEVER
        self.announce = None
        self.fired_at = None

    def on_punch(self, number: int, *, now: float) -> None:
        """Note that the peer's NAT is open for us in a round."""
        self._peer_ready = number
        if not self._lanes:
            return
        if number == self._round and self.stage is Stage.PRIMED:
            self._fire(now)
        elif number > self._round or (self.stage is Stage.RESTING and (number == self._round or self._is_late(now))):
            self._round = number
            self._followed = True
            self.stage = Stage.RESTING
            self.deadline = now

    def _is_late(self, now: float) -> bool:
        """Tell whether we rest for so long that a peer who speaks of an earlier round has begun anew."""
        return now - self._rests_since > LATE + 2 * self.rtt

    def on_struck(self, path: Path, *, now: float) -> None:
        """Hear that a packet reached the peer's gateway, not the peer: this lane is spoilt."""
        lane = self._lanes[self.lane] if self._lanes else Lane((), ())
        if not self._lanes or path not in (*lane.prime, *lane.fire) or self.stage is Stage.RESTING:
            return
        if self.stage is Stage.PRIMED:
            self.prime_ttl = max(SHORTEST_TTL, self.prime_ttl // 2)
        self.struck = True
        if len(self._lanes) > 1:
            self._end_round(now)

    def pause(self, *, until: float) -> None:
        """Leave what comes next for a while."""
        if self._lanes:
            self.deadline = max(self.deadline, until)

    def take(self, *, now: float) -> list[Shot]:
        """Return the probes to send now, and move on."""
        if now < self.deadline:
            return []
        if self.stage is Stage.RESTING and not self._followed and not self._choose(now):
            return []
        lane = self._lanes[self.lane]
        self._used_at[self.lane] = now
        if self.stage is Stage.RESTING:
            self.stage = Stage.PRIMED
            self._followed = False
            self.announce = self._round
            self.deadline = self._next_pass(now)
            ttl = self.prime_ttl + (FURTHER if self.lane == LAST_SPARE and not self.struck else 0)
            shots = [Shot(path, ttl) for path in lane.prime]
            if self._peer_ready >= self._round:
                self._fire(now)
                return shots if lane.fire is not lane.prime else []  # what is fired opens our NAT as well
            return shots
        if self.stage is Stage.PRIMED:
            # the peer never said it was ready: begin again
            self._end_round(now)
            return []
        if self._fired == len(FIRE_TIMES):
            self._end_round(now)
            return []
        self._fired += 1
        if self._fired == len(FIRE_TIMES):
            silent = max(SILENT_FIRE, 4 * self.rtt) - FIRE_TIMES[-1]
            self.deadline = now + max(silent, 0.0)
        else:
            self.deadline = now + FIRE_TIMES[self._fired] - FIRE_TIMES[self._fired - 1]
        if self.fired_at is None:
            self.fired_at = now
        # what opened the NAT may have got lost; where probes go out of the same ports they do it themselves
        again = [] if lane.fire is lane.prime else [Shot(path, self.prime_ttl) for path in lane.prime]
        first = lane.once if self._fired == 1 else ()
        return again + [Shot(path, None) for path in (*lane.fire, *first)]

    def _fire(self, now: float) -> None:
        self.stage = Stage.FIRING
        self._fired = 0
        self.deadline = now

    def _end_round(self, now: float) -> None:
        """Go on to the next fresh lane at once; without one the pass is over."""
        self.stage = Stage.RESTING
        self._rests_since = now
        self._followed = False
        self._go_to(self._round + 1)
        self.deadline = now
        if len(self._lanes) == 1 or self._fresh(now) is None:
            self.deadline = self._next_pass(now)
            self.refresh_at = max(now, self.deadline - REFRESH_AHEAD) if len(self._lanes) > 1 else NEVER

    def _choose(self, now: float) -> bool:
        """Go to the round of a lane that is fresh, or the only one; wait on if there is none."""
        number = self._round if len(self._lanes) == 1 else self._fresh(now)
        if number is None:
            self.deadline = max(min(self._used_at) + PORT_REST, self._next_pass(now))
            return False
        self._go_to(number)
        return True

    def _go_to(self, number: int) -> None:
        if number > MAX_ROUND:
            # both ends count anew, and what was said of the old rounds holds no more
            number = 0
            self._peer_ready = -1
        self._round = number

    def _fresh(self, now: float) -> int | None:
        """Return the next round, from this one on, whose lane has rested."""
        lanes = len(self._lanes)
        numbers = range(self._round, self._round + lanes)
        return next((each for each in numbers if self._used_at[each % lanes] + PORT_REST <= now), None)

    def _next_pass(self, now: float) -> float:
        """Return when the next pass begins."""
        number = next(each for each in count(1) if self._started + pass_at(each) > now)
        return self._started + pass_at(number)


def pass_at(number: int) -> float:
    """Return when a pass begins, seconds after the first one."""
    beyond = max(0, number + 1 - len(PUNCH_PASSES))
    return PUNCH_PASSES[min(number, len(PUNCH_PASSES) - 1)] + beyond * PUNCH_PASSES[-1]
