"""Notice soon that a path died: traffic unanswered, then probes unanswered."""

from __future__ import annotations

from clawchat.values.limits import SUSPECT_AFTER, SUSPECT_PROBES, SUSPECT_WAIT
from clawchat.values.timers import NEVER


class Suspicion:
    """Decide when to probe the path in use, and when to give it up.

    ``deadline`` is when ``check`` has something to say.
    """

    __slots__ = ("_asked_at", "_probes", "deadline")

    def __init__(self) -> None:
        self.deadline = NEVER
        self._asked_at = NEVER
        self._probes = 0

    @property
    def probing(self) -> bool:
        """Tell whether the path is being probed."""
        return self._probes > 0

    def on_asked(self, rtt: float, *, now: float) -> None:
        """Note that something was sent that asks for an answer; ``rtt`` is the path's, seconds."""
        if self._asked_at == NEVER:
            self._asked_at = now
            self.deadline = now + max(SUSPECT_AFTER, 3 * rtt)

    def on_flow(self, rtt: float, *, now: float) -> None:
        """Note that the peer sends steadily: should it stop, that is as good as no answer."""
        self._asked_at = now
        self._probes = 0
        self.deadline = now + max(SUSPECT_AFTER, 3 * rtt)

    def on_answer(self) -> None:
        """Note that the path works."""
        self._asked_at = self.deadline = NEVER
        self._probes = 0

    def check(self, rtt: float, *, now: float) -> bool | None:
        """Return True to give the path up, False to probe it now, None if nothing is due."""
        if now < self.deadline:
            return None
        if self._probes >= SUSPECT_PROBES:
            self.on_answer()
            return True
        self._probes += 1
        self.deadline = now + max(SUSPECT_WAIT, 1.5 * rtt)
        return False
