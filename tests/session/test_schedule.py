"""When an endpoint is woken: for the nearest deadline, and for none that has moved on meanwhile."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from clawchat.session.schedule import Schedule
from clawchat.values.timers import NEVER


class Sessions:
    """Sessions of which nothing is real but their deadlines."""

    def __init__(self, *deadlines: float) -> None:
        self.deadlines = dict(enumerate(deadlines, 1))
        self.all: dict[int, Any] = {
            number: SimpleNamespace(
                id=number, scheduled=NEVER, next_timeout=lambda number=number: self.deadlines[number]
            )
            for number in self.deadlines
        }
        self.schedule = Schedule(self.all)
        for number in self.all:
            self.move(number, self.deadlines[number])

    def move(self, number: int, deadline: float) -> None:
        self.deadlines[number] = deadline
        self.schedule.put(self.all[number])

    def due(self, now: float) -> list[int]:
        return [session.id for session in self.schedule.due(now=now)]


def test_the_foremost_session_moves_back_at_once() -> None:
    sessions = Sessions(1.0, 3.0)
    sessions.move(1, 2.0)
    assert sessions.schedule.next() == 2.0
    assert sessions.due(1.5) == []
    assert sessions.due(2.0) == [1]


def test_one_behind_it_is_looked_at_when_its_old_deadline_comes() -> None:
    sessions = Sessions(1.0, 3.0)
    sessions.move(2, 5.0)
    assert sessions.due(1.0) == [1]
    assert sessions.schedule.next() == 3.0
    assert sessions.due(3.0) == []
    assert sessions.schedule.next() == 5.0


def test_an_earlier_deadline_counts_at_once() -> None:
    sessions = Sessions(4.0, 3.0)
    sessions.move(1, 1.0)
    assert sessions.schedule.next() == 1.0
    assert sessions.due(10.0) == [1, 2]


@pytest.mark.parametrize("gone", [False, True])
def test_who_waits_for_nothing_takes_no_place(*, gone: bool) -> None:
    sessions = Sessions(1.0)
    if gone:
        del sessions.all[1]
        assert sessions.due(1.0) == []
    else:
        sessions.move(1, NEVER)
    assert sessions.schedule.next() == NEVER
