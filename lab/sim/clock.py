"""Virtual time: calls are made in the order of their times, and the clock jumps from one to the next."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable


class Clock:
    """Seconds that begin at 0 and pass only in `run`; calls of one moment are made in the order they were asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._later: list[tuple[float, int, bool, Callable[..., None], tuple[object, ...]]] = []
        self._at_once: deque[tuple[bool, Callable[..., None], tuple[object, ...]]] = deque()
        """What is due now: it comes after whatever was put off until this moment, and needs no sorting."""

    def at(self, time: float, call: Callable[..., None], *arguments: object, seen: bool = True) -> None:
        """Make a call at some time from now on; one that is not ``seen`` is nothing that a program could notice."""
        if time > self.now:
            heapq.heappush(self._later, (time, next(self._order), seen, call, arguments))
        else:
            self._at_once.append((seen, call, arguments))

    def soon(self, call: Callable[..., None], *arguments: object) -> None:
        """Make a call still at this moment, after whatever is under way."""
        self._at_once.append((True, call, arguments))

    def run(self, until: float, *, stop: Callable[[], bool] | None = None) -> bool:
        """Let things happen up to a time, or until `stop` says so after a call that is seen; tell whether it did."""
        later, at_once = self._later, self._at_once
        while True:
            if later and later[0][0] <= (self.now if at_once else until):
                self.now, _, seen, call, arguments = heapq.heappop(later)
            elif at_once:
                seen, call, arguments = at_once.popleft()
            else:
                break
            call(*arguments)
            if seen and stop is not None and stop():
                return True
        self.now = max(self.now, until)
        return False
