"""Whether another direct path is faster than the one that answered first: asked once, a moment after that one."""

from __future__ import annotations

from collections.abc import Iterable

from clawchat.nat.probing import Answered, Prober
from clawchat.values.address import Path
from clawchat.values.limits import COMPARE_AFTER, COMPARE_TIMES, FASTER_BY, FASTER_SHARE
from clawchat.values.timers import NEVER


class Comparing:
    """Probe all direct ways side by side, and judge by the shortest round trip of each; ``deadline`` is when."""

    __slots__ = ("_prober", "_rtts", "_ways", "deadline")

    def __init__(self, prober: Prober) -> None:
        self.deadline = NEVER
        self._prober = prober
        self._ways: tuple[Path, ...] = ()
        self._rtts: dict[Path, float] = {}

    def begin(self, current: Path, ways: Iterable[Path], *, now: float) -> None:
        """Compare the path just taken into use with these, soon."""
        self._ways = tuple(dict.fromkeys((current, *ways)))
        self._rtts = {}
        self.deadline = now + COMPARE_AFTER if len(self._ways) > 1 else NEVER

    def stop(self) -> None:
        """Compare nothing: the path is another one now."""
        self._ways = ()
        self.deadline = NEVER

    def probe(self, *, now: float) -> None:
        """Send the probes, if they are due."""
        if self.deadline <= now:
            self.deadline = NEVER
            for _ in range(COMPARE_TIMES):
                for path in self._ways:
                    self._prober.probe(path)

    def on_answer(self, answered: Answered, current: Path) -> Path | None:
        """Note an answer; return the path to use instead of the current one, if one is so much faster."""
        if self.deadline != NEVER or answered.path not in self._ways:
            return None
        self._rtts[answered.path] = min(answered.rtt, self._rtts.get(answered.path, answered.rtt))
        fastest = min(self._rtts, key=self._rtts.__getitem__)
        known = self._rtts.get(current)
        if known is None or not is_faster(self._rtts[fastest], known):
            return None
        return fastest


def is_faster(rtt: float, than: float) -> bool:
    """Tell whether a round trip is so much shorter, seconds, that a change of path is worth it."""
    return than - rtt >= FASTER_BY and rtt <= than * FASTER_SHARE
