"""Notice when the other end does not answer, and when it does again; a machine without a clock."""

from __future__ import annotations

from typing import Final

from clawchat.net.user_events import Back, Silent

PATIENCE: Final = 5.0
"""Say nothing before this: a lost packet or a moved path is mended sooner."""

REPEAT_FACTOR: Final = 2.0
"""Each further word comes after twice the silence, so that a long outage fills no screen."""


class Watch:
    """Judge the time since the oldest question that has no answer."""

    __slots__ = ("_asked_at", "_next_word")

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._next_word = PATIENCE

    def asked(self, *, now: float) -> None:
        """Note that something was sent that will be answered."""
        if self._asked_at is None:
            self._asked_at = now

    def heard(self, *, now: float) -> Back | None:
        """Note an answer; return an event if a silence was told before."""
        was_silent, asked_at = self.silent, self._asked_at
        self._asked_at, self._next_word = None, PATIENCE
        return Back(now - asked_at) if was_silent and asked_at is not None else None

    def tick(self, *, now: float) -> Silent | None:
        """Return an event when it is time to say something about the silence."""
        waiting = self.waiting(now=now)
        if waiting < self._next_word:
            return None
        self._next_word = waiting * REPEAT_FACTOR
        return Silent(waiting)

    def waiting(self, *, now: float) -> float:
        """Give the seconds since the oldest question without an answer."""
        return 0.0 if self._asked_at is None else now - self._asked_at

    @property
    def silent(self) -> bool:
        """Tell whether a silence was told and is not over."""
        return self._next_word > PATIENCE
