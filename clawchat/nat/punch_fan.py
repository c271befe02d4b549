"""Guess the ports of a NAT that gives every destination another one.

    walk      a counting NAT: the ports that follow the newest one known, all at once, three times
    ladder    two counting NATs: each end opens many ports, all aimed at the middle of what the peer opens
    scatter   a NAT that rolls dice, opened at many ports: distinct ports at a steady rate, each once
    open      the other half of a scatter: a packet from each of many ports, which dies before the peer's gateway

Each is a burst: no more than one runs at a time, and not often.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import gcd
from typing import Final

from clawchat.nat.punch import Shot
from clawchat.nat.punch_plan import Move
from clawchat.values.address import MAX_PORT, Address, Path
from clawchat.values.habit import Habit
from clawchat.values.limits import FAN_LADDER, FAN_OPENERS, FAN_PROBES, FAN_RATE, FAN_SPRINT, FAN_SPRINT_RATE
from clawchat.values.timers import NEVER

FIRST_PORT: Final = 1024
"""NATs give ports above the well-known ones (RFC 4787 section 4.2.2)."""

PORTS: Final = MAX_PORT + 1 - FIRST_PORT
TICK: Final = 0.02
"""How often a scatter sends, seconds."""

WALK_TIMES: Final = (0.0, 0.25, 0.75)
BACKWARD: Final = 8
"""The newest port we know may be newer than the mapping made for us."""

LADDER_TIMES: Final = (0.0, 0.4, 0.6, 1.0, 1.6)
"""When a ladder's ports send: first to open our own NAT, by a packet that dies on the way, then to get through."""

PATIENCE: Final = 1.0
"""How long answers are waited for after the last packet."""

OPEN_TIME: Final = FAN_PROBES / FAN_RATE + PATIENCE

WANTED: Final = {Move.LADDER: FAN_LADDER, Move.OPEN: FAN_OPENERS}
"""How many ports a move needs besides those there are."""


def distinct(size: int, number: int) -> Iterator[int]:
    """Yield every number below ``size`` once, in an order that ``number`` chooses."""
    step = number // size % size | 1
    while gcd(step, size) != 1:
        step += 2
    at = number % size
    for _ in range(size):
        yield at
        at = (at + step) % size


class Fan:
    """One round of guessing; ``deadline`` is when ``take`` has something, NEVER once it is over."""

    __slots__ = ("_aim", "_guesses", "_main", "_peer", "_prime_ttl", "_sent", "_started", "_used", "deadline", "move")

    def __init__(  # noqa: PLR0913 - what a move needs to know
        self,
        move: Move,
        main: Sequence[int],
        aim: Address,
        peer: Habit,
        *,
        prime_ttl: int,
        random: Callable[[int], bytes],
        now: float,
    ) -> None:
        self.move = move
        self._main = main
        self._aim = aim
        self._peer = peer
        self._prime_ttl = prime_ttl
        self._started = now
        self._sent = 0
        self._used: set[int] = set()
        self._guesses = self._ports(int.from_bytes(random(8), "big"))
        self.deadline = now

    @property
    def over(self) -> bool:
        """Tell whether all was sent and waited for."""
        return self.deadline == NEVER

    def take(self, ports: Sequence[int], *, now: float) -> list[Shot]:
        """Return the probes to send now; ``ports`` are those opened for this fan so far."""
        if now < self.deadline:
            return []
        match self.move:
            case Move.WALK:
                return self._walk(now)
            case Move.LADDER:
                return self._ladder(ports, now)
            case Move.SCATTER:
                return self._scatter(now)
            case _:
                return self._open(ports, now)

    def hurry(self, *, now: float) -> None:
        """Look at ports that have just been opened."""
        if not self.over:
            self.deadline = now

    def _walk(self, now: float) -> list[Shot]:
        if not self._wait(WALK_TIMES, now):
            return []
        base, step = self._aim, self._peer.step
        counts = [*range(1, self._peer.window + 1), *range(-BACKWARD, 1)]
        targets = [Address(base.host, port) for count in counts if 0 < (port := base.port + step * count) <= MAX_PORT]
        return [Shot(Path(port, target), None) for target in targets for port in self._main]

    def _ladder(self, ports: Sequence[int], now: float) -> list[Shot]:
        target = Address(self._aim.host, min(MAX_PORT, max(1, self._aim.port + self._peer.step * FAN_LADDER // 2)))
        fresh = [port for port in ports if port not in self._used]
        self._used.update(fresh)
        shots = [Shot(Path(port, target), self._prime_ttl) for port in fresh]
        due = self._started + LADDER_TIMES[min(self._sent, len(LADDER_TIMES) - 1)]
        if now < due:
            self.deadline = due
        elif self._wait(LADDER_TIMES, now) and self._sent > 1:
            shots += [Shot(Path(port, target), None) for port in ports]
        return shots

    def _wait(self, times: Sequence[float], now: float) -> bool:
        """Set the deadline of the next volley; tell whether there is one now."""
        if self._sent >= len(times):
            self.deadline = NEVER
            return False
        self._sent += 1
        last = self._sent == len(times)
        self.deadline = now + PATIENCE if last else self._started + times[self._sent]
        return True

    def _scatter(self, now: float) -> list[Shot]:
        if self._sent >= FAN_PROBES:
            self.deadline = NEVER
            return []
        elapsed = now - self._started
        sprinted = min(elapsed, FAN_SPRINT)
        due = min(FAN_PROBES, int(sprinted * FAN_SPRINT_RATE + (elapsed - sprinted) * FAN_RATE) + 1)
        shots = []
        while self._sent < due:
            self._sent += 1
            shots += [Shot(Path(port, Address(self._aim.host, next(self._guesses))), None) for port in self._main]
        self.deadline = now + (TICK if self._sent < FAN_PROBES else PATIENCE)
        return shots

    def _open(self, ports: Sequence[int], now: float) -> list[Shot]:
        fresh = [port for port in ports if port not in self._used]
        self._used.update(fresh)
        end = self._started + OPEN_TIME
        self.deadline = end if now < end else NEVER
        return [Shot(Path(port, self._aim), self._prime_ttl) for port in fresh]

    def _ports(self, number: int) -> Iterator[int]:
        """Yield ports to guess, those between the lowest and the highest that was seen first."""
        low, high = max(self._peer.lowest, FIRST_PORT), max(self._peer.highest, FIRST_PORT)
        for guess in distinct(high - low + 1, number):
            yield low + guess
        for guess in distinct(PORTS, number):
            if not low <= FIRST_PORT + guess <= high:
                yield FIRST_PORT + guess
