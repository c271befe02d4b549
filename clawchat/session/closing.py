"""How a session says goodbye: CLOSE, a few times, then silence (RFC 9000 section 10.2)."""

from __future__ import annotations

from clawchat.values.limits import CLOSE_LINGER_PTOS, MAX_CLOSE_WAIT
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Close, encode


class Closing:
    """Send CLOSE when a session closes, again after each probe timeout, and in answer to late packets.

    Answers to late packets come only after 1, 2, 4 … of them, so that two ends never echo each other.
    """

    __slots__ = ("_answer_at", "_frame", "_late", "_left", "_wait", "deadline", "due")

    def __init__(self) -> None:
        self.deadline = NEVER
        self.due = False
        self._frame = b""
        self._wait = 0.0
        self._left = 0
        self._late = 0
        self._answer_at = 1

    def begin(self, code: int, reason: str, *, probe_timeout: float, now: float) -> None:
        """Start to close; ``probe_timeout`` in seconds is the time between two CLOSEs."""
        self._frame = encode(Close(code, reason))
        self._wait = min(probe_timeout, MAX_CLOSE_WAIT)
        self._left = CLOSE_LINGER_PTOS
        self.due = True
        self.deadline = now + self._wait

    def on_late_packet(self) -> None:
        """Note an authentic packet that came after CLOSE."""
        self._late += 1
        if self._late == self._answer_at:
            self._answer_at *= 2
            self.due = True

    def on_timeout(self, *, now: float) -> bool:
        """Repeat CLOSE; tell whether the time to linger is over."""
        self._left -= 1
        if self._left <= 0:
            self.deadline = NEVER
            return True
        self.due = True
        self.deadline = now + self._wait
        return False

    def take(self) -> bytes:
        """Return the CLOSE frame to send now."""
        self.due = False
        return self._frame
