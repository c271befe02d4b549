"""When two ends that exchanged their addresses through something slow prime and fire towards each other.

The answering end opens its NAT before its answer is written, with packets that die before the asker's NAT, and
opens it again and again, since nobody knows when the answer will be read. The asking end keeps its own NAT open in
the same way while it waits, and fires as soon as it has read the answer: by then both NATs are open.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from clawchat.values.events import Role
from clawchat.values.limits import FIRE_TIMES, MEETING_PRIME_INTERVAL

FIRE_ROUNDS: Final = (2.0, 3.0, 5.0)
"""The waits between rounds of full probes, seconds; the last repeats."""


class Volley(NamedTuple):
    """Probes to send by every path; ``ttl`` None for the system's."""

    ttl: int | None


class Volleys:
    """Decide when to prime and when to fire. ``deadline`` is when ``take`` has something."""

    __slots__ = ("_firing", "_prime_ttl", "_round", "_shot", "deadline")

    def __init__(self, role: Role, prime_ttl: int, *, now: float) -> None:
        self.deadline = now
        self._prime_ttl = prime_ttl
        self._firing = role is Role.INITIATOR
        self._round = 0
        self._shot = 0

    def fire(self, *, now: float) -> None:
        """Begin to fire: the peer has read our answer, so its NAT is open."""
        if not self._firing:
            self._firing = True
            self.deadline = now

    def take(self, *, now: float) -> Volley:
        """Return what is due, and move on."""
        if not self._firing:
            self.deadline = now + MEETING_PRIME_INTERVAL
            return Volley(self._prime_ttl)
        self._shot += 1
        if self._shot < len(FIRE_TIMES):
            self.deadline = now + FIRE_TIMES[self._shot] - FIRE_TIMES[self._shot - 1]
        else:
            self._shot = 0
            self.deadline = now + FIRE_ROUNDS[min(self._round, len(FIRE_ROUNDS) - 1)]
            self._round += 1
        return Volley(None)
