"""When to look at which session again."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from clawchat.session.session import Session
from clawchat.values.timers import NEVER


class Schedule:
    """Sessions by their deadlines, in a heap.

    Deadlines move with every packet, mostly later. A later one keeps the old place and is looked at when that
    comes; only an earlier one takes a new place, and the old one is skipped.
    """

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Session]] = []
        self._order = 0

    def put(self, session: Session) -> None:
        """Look at a session again when its next deadline comes."""
        deadline = session.next_timeout()
        if deadline < session.scheduled:
            session.scheduled = deadline
            self._order += 1
            heappush(self._heap, (deadline, self._order, session))

    def next(self) -> float:
        """Return when to look next, NEVER if there is nothing to look at."""
        return self._heap[0][0] if self._heap else NEVER

    def due(self, *, now: float) -> Iterator[Session]:
        """Take the sessions whose deadline has come."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, _, session = heappop(heap)
            if session.scheduled != deadline:
                continue
            session.scheduled = NEVER
            if session.next_timeout() <= now:
                yield session
            else:
                self.put(session)
