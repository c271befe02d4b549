"""Keeping a silent session alive, and noticing that its peer is gone."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from clawchat.values.events import Role
from clawchat.values.limits import DEAD_PEER, JITTER, KEEPALIVE

_UNIT = 1 << 16

RESPONDER_PATIENCE = 1.5
"""A responder waits this much longer, so that it only answers: one exchange keeps both mappings."""

TIMER_GRID = 0.125
"""Keepalives fall on multiples of this, seconds, so that one turn of the loop serves many sessions."""


class Liveness:
    """Decide when to send a keepalive and when the peer is dead.

    Both deadlines are lazy: activity is noted, and a deadline that comes too early is moved when it comes.
    """

    __slots__ = ("_interval", "_patience", "_random", "heard_at")

    def __init__(self, role: Role, random: Callable[[int], bytes], *, now: float) -> None:
        self._random = random
        self._patience = KEEPALIVE if role is Role.INITIATOR else KEEPALIVE * RESPONDER_PATIENCE
        self.heard_at = now
        self._interval = self._jittered()

    def _jittered(self) -> float:
        share = int.from_bytes(self._random(2), "big") / _UNIT
        return self._patience * (1 - JITTER + 2 * JITTER * share)

    def keepalive_at(self, sent_at: float) -> float:
        """Return when a keepalive is due if nothing is sent after ``sent_at``, on the grid all sessions share."""
        return ceil((sent_at + self._interval) / TIMER_GRID) * TIMER_GRID

    def on_keepalive(self) -> None:
        """Draw the next interval, so that no two sessions stay in step."""
        self._interval = self._jittered()

    def dead_at(self) -> float:
        """Return when the peer counts as dead if nothing more is heard."""
        return self.heard_at + DEAD_PEER
