"""What relays see of our ports, asked with probes that are repeated where no answer came."""

from __future__ import annotations

from collections.abc import Callable

from clawchat.nat.path import PathFrame
from clawchat.nat.probing import Answered, Prober
from clawchat.values.address import Path
from clawchat.values.limits import SURVEY_TRIES
from clawchat.values.timers import NEVER
from clawchat.wire.frames import PathResponse


class Survey(Prober):
    """Ask by many paths at once, and by those alone again that gave no answer; ``deadline`` is when.

    Every question of ours opens a mapping at our NAT or renews one, and costs the relay an answer: a second one at
    once, for fear of loss, would double both.
    """

    __slots__ = ("_left", "deadline")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        super().__init__(random)
        self.deadline = NEVER
        self._left: dict[Path, int] = {}

    def ask(self, path: Path) -> None:
        """Queue a question by a path."""
        self._left[path] = SURVEY_TRIES
        self.probe(path)

    def ask_again(self, is_open: Callable[[int], object], *, now: float, patience: float) -> list[PathFrame]:
        """Return the questions to send now: new ones, and those that had no answer for ``patience`` seconds.

        Nothing is asked again of a port that was closed meanwhile.
        """
        if self.deadline <= now:
            self.deadline = NEVER
            self._left = {path: left for path, left in self._left.items() if is_open(path.port)}
            for path in self._left:
                self.probe(path)
        frames = self.take(now=now)
        for path in {frame.path for frame in frames if frame.ttl is None} & self._left.keys():
            self._left[path] -= 1
            if not self._left[path]:
                del self._left[path]
        if frames and self._left:
            self.deadline = now + patience
        return frames

    def on_response(self, response: PathResponse, *, now: float) -> Answered | None:
        """Return the path whose question this answers, None if it answers none."""
        answered = super().on_response(response, now=now)
        if answered is not None and self._left.pop(answered.path, 0) and not self._left:
            self.deadline = NEVER
        return answered
