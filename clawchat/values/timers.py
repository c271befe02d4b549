"""The named timers of a machine, in one table."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

NEVER: Final = float("inf")
"""The deadline of a timer that is not set."""


class Timer(IntEnum):
    """What a session waits for."""

    HELLO = 0
    HANDSHAKE = 1
    LOSS = 2
    ACK = 3
    PACING = 4
    KEEPALIVE = 5
    DEAD_PEER = 6
    CHALLENGE = 7
    MTU = 8
    DRAINED = 9


_ALL: Final = tuple(Timer)


class Timers:
    """Deadlines in monotonic seconds, one for each ``Timer``."""

    __slots__ = ("deadlines",)

    def __init__(self) -> None:
        self.deadlines = [NEVER] * len(Timer)

    def set(self, timer: Timer, deadline: float) -> None:
        """Let a timer expire at ``deadline``, whatever it was set to."""
        self.deadlines[timer] = deadline

    def clear(self, timer: Timer) -> None:
        """Unset a timer."""
        self.deadlines[timer] = NEVER

    def clear_all(self) -> None:
        """Unset every timer."""
        self.deadlines = [NEVER] * len(Timer)

    def is_set(self, timer: Timer) -> bool:
        """Tell whether a timer is set."""
        return self.deadlines[timer] != NEVER

    def next(self) -> float:
        """Return the nearest deadline, ``NEVER`` if no timer is set."""
        return min(self.deadlines)

    def expired(self, *, now: float) -> list[Timer]:
        """Unset and return the timers whose deadline is not after ``now``."""
        due = [timer for timer in _ALL if self.deadlines[timer] <= now]
        for timer in due:
            self.deadlines[timer] = NEVER
        return due
