"""When to look at which session again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush, heapreplace

from clawchat.session.session import Session
from clawchat.values.timers import NEVER


class Schedule:
    """Sessions by their deadlines, in a heap of ids, so that one that is over is let go with its keys at once.

    Deadlines move with every packet, mostly later. A later one keeps the old place and is looked at when that
    comes; only an earlier one takes a new place, and the old one is skipped. The foremost session alone moves back at
    once, so that nobody is woken for a deadline that has moved on meanwhile.
    """

    __slots__ = ("_heap", "_sessions")

    def __init__(self, sessions: Mapping[int, Session]) -> None:
        self._heap: list[tuple[float, int]] = []
        self._sessions = sessions

    def put(self, session: Session) -> None:
        """Look at a session again when its next deadline comes."""
        deadline = session.next_timeout()
        heap = self._heap
        if deadline < session.scheduled:
            session.scheduled = deadline
            heappush(heap, (deadline, session.id))
        elif deadline > session.scheduled and heap[0] == (session.scheduled, session.id):
            session.scheduled = deadline
            if deadline == NEVER:
                heappop(heap)
            else:
                heapreplace(heap, (deadline, session.id))

    def next(self) -> float:
        """Return when to look next, NEVER if there is nothing to look at."""
        return self._heap[0][0] if self._heap else NEVER

    def due(self, *, now: float) -> Iterator[Session]:
        """Take the sessions whose deadline has come."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline, session_id = heappop(heap)
            session = self._sessions.get(session_id)
            if session is None or session.scheduled != deadline:
                continue
            session.scheduled = NEVER
            if session.next_timeout() <= now:
                yield session
            else:
                self.put(session)
