"""The replay window: a truth table, and a set that it must agree with."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawchat.crypto.replay import ReplayWindow
from clawchat.values.limits import REPLAY_WINDOW

SIZE = 16


@pytest.mark.parametrize(
    ("marked", "number", "new"),
    [
        ([], 0, True),
        ([], 1 << 47, True),
        ([0], 0, False),
        ([0], 1, True),
        ([5], 4, True),
        ([5], 0, True),
        ([5, 4], 4, False),
        ([SIZE], 1, True),  # the oldest one inside
        ([SIZE], 0, False),  # the newest one outside
        ([0, SIZE - 1], 0, False),  # marked, and about to leave
        ([0, SIZE - 1], 1, True),
        ([0, SIZE], 0, False),  # left
        ([0, 10 * SIZE], 9 * SIZE + 1, True),  # a jump over more than the window forgets all
        ([0, 10 * SIZE], 9 * SIZE, False),
        ([10 * SIZE, 0], 9 * SIZE + 1, True),  # marking what is outside changes nothing
        ([1 << 47, 0], (1 << 47) - 1, True),
    ],
)
def test_what_is_new(marked: list[int], number: int, new: bool) -> None:  # noqa: FBT001 - a column of the table
    window = ReplayWindow(SIZE)
    for each in marked:
        window.mark(each)
    assert window.check(number) is new


@pytest.mark.parametrize(
    ("first", "count", "above"), [(9, 2, False), (10, 1, False), (11, 1, True), (11, 3 * SIZE, True), (11, 0, False)]
)
def test_a_run_is_new_when_all_of_it_is_above_the_top(
    first: int,
    count: int,
    above: bool,  # noqa: FBT001 - a column of the table
) -> None:
    window = ReplayWindow(SIZE)
    window.mark(10)
    assert window.check_run(first, count) is above


def test_a_run_longer_than_the_window_is_remembered_as_far_as_it_reaches() -> None:
    window = ReplayWindow(SIZE)
    window.mark_run(0, 3 * SIZE)
    assert not any(window.check(number) for number in range(3 * SIZE))
    assert window.check(3 * SIZE)


def test_the_window_is_as_long_as_the_protocol_says() -> None:
    window = ReplayWindow()
    window.mark(REPLAY_WINDOW)
    assert window.check(1)
    assert not window.check(0)


class Model(RuleBasedStateMachine):
    """The window and a set of all numbers ever marked give the same answers."""

    def __init__(self) -> None:
        super().__init__()
        self.window = ReplayWindow(SIZE)
        self.marked: set[int] = set()

    @property
    def top(self) -> int:
        return max(self.marked, default=-1)

    def is_new(self, number: int) -> bool:
        return number not in self.marked and number > self.top - SIZE

    @rule(ahead=st.integers(-2 * SIZE, 2 * SIZE))
    def receive_one(self, ahead: int) -> None:
        number = max(0, self.top + ahead)
        if self.window.check(number):
            self.window.mark(number)
            self.marked.add(number)

    @rule(ahead=st.integers(1, 2 * SIZE), count=st.integers(1, 2 * SIZE))
    def receive_a_run(self, ahead: int, count: int) -> None:
        first = self.top + ahead
        assert self.window.check_run(first, count)
        self.window.mark_run(first, count)
        self.marked.update(range(first, first + count))

    @rule(behind=st.integers(0, 2 * SIZE), count=st.integers(1, 2 * SIZE))
    def mark_an_overlapping_run(self, behind: int, count: int) -> None:
        first = max(0, self.top - behind)
        self.window.mark_run(first, count)
        self.marked.update(range(first, first + count))

    @invariant()
    def the_answers_agree(self) -> None:
        assert self.window.top == self.top
        for number in range(max(0, self.top - 2 * SIZE), self.top + 3):
            assert self.window.check(number) is self.is_new(number)
            assert self.window.check_run(number, 1) is (number > self.top)


TestModel = Model.TestCase
