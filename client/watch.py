"""Notice when the other end does not answer, and when it does again; a machine without a clock."""

from __future__ import annotations

from collections import deque
from typing import Final

from clawchat.net.user_events import Back, Silent

PATIENCE: Final = 5.0
"""Say nothing before this: a lost packet or a moved path is mended sooner."""

REPEAT_FACTOR: Final = 2.0
"""Each further word comes after twice the silence, so that a long outage fills no screen."""


MOST_QUESTIONS: Final = 100
"""The oldest question decides; the latest are remembered for when only the older ones were answered."""


class Watch:
    """Judge the time since the oldest question that has no answer."""

    __slots__ = ("_asked", "_next_word")

    def __init__(self) -> None:
        self._asked: deque[float] = deque()
        self._next_word = PATIENCE

    def asked(self, *, now: float) -> None:
        """Note that something was sent that will be answered."""
        if len(self._asked) < MOST_QUESTIONS:
            self._asked.append(now)

    def answered(self, until: float, *, now: float) -> Back | None:
        """Note that what was asked up to a time has its answer; return an event if a silence was told before."""
        if not self._asked or self._asked[0] > until:
            return None
        waited, was_silent = self.waiting(now=now), self.silent
        while self._asked and self._asked[0] <= until:
            self._asked.popleft()
        self._next_word = PATIENCE
        return Back(waited) if was_silent else None

    def tick(self, *, now: float) -> Silent | None:
        """Return an event when it is time to say something about the silence."""
        waiting = self.waiting(now=now)
        if waiting < self._next_word:
            return None
        self._next_word = waiting * REPEAT_FACTOR
        return Silent(waiting)

    def waiting(self, *, now: float) -> float:
        """Give the seconds since the oldest question without an answer."""
        return now - self._asked[0] if self._asked else 0.0

    @property
    def silent(self) -> bool:
        """Tell whether a silence was told and is not over."""
        return self._next_word > PATIENCE
