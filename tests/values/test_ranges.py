from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawchat.values.ranges import RangeSet

EDGE = st.integers(0, 60)
RANGES = st.lists(st.tuples(EDGE, EDGE))


def members(ranges: RangeSet) -> set[int]:
    return {value for start, stop in ranges for value in range(start, stop)}


class AgainstSet(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ranges = RangeSet()
        self.model: set[int] = set()

    @rule(start=EDGE, stop=EDGE)
    def add(self, start: int, stop: int) -> None:
        self.ranges.add(start, stop)
        self.model |= set(range(start, stop))

    @rule(start=EDGE, stop=EDGE)
    def subtract(self, start: int, stop: int) -> None:
        self.ranges.subtract(start, stop)
        self.model -= set(range(start, stop))

    @rule(count=st.integers(0, 5))
    def keep_newest(self, count: int) -> None:
        kept = self.ranges.last(count)
        self.ranges.keep_newest(count)
        self.model = {value for start, stop in kept for value in range(start, stop)}

    @rule(start=EDGE, stop=EDGE)
    def ask(self, start: int, stop: int) -> None:
        asked = set(range(start, stop))
        gaps = self.ranges.gaps(start, stop)
        assert {value for low, high in gaps for value in range(low, high)} == asked - self.model
        assert RangeSet(gaps) == RangeSet(reversed(gaps))
        assert self.ranges.covers(start, stop) == (asked <= self.model)
        assert (start in self.ranges) == (start in self.model)

    @invariant()
    def same(self) -> None:
        assert members(self.ranges) == self.model
        assert self.ranges.size() == len(self.model)

    @invariant()
    def shortest_form(self) -> None:
        listed = list(self.ranges)
        assert all(start < stop for start, stop in listed)
        assert all(before[1] < after[0] for before, after in pairwise(listed))
        assert listed[::-1] == list(reversed(self.ranges)) == self.ranges.last(len(self.ranges))


TestAgainstSet = AgainstSet.TestCase


@given(RANGES)
def test_order_of_adding_does_not_matter(ranges: list[tuple[int, int]]) -> None:
    assert RangeSet(ranges) == RangeSet(reversed(ranges))


def test_ranges_that_touch_become_one() -> None:
    ranges = RangeSet([(0, 5), (10, 15)])
    ranges.add(5, 10)
    assert list(ranges) == [(0, 15)]


def test_lowest_and_last() -> None:
    ranges = RangeSet([(0, 5), (10, 15), (20, 25)])
    assert ranges.lowest() == (0, 5)
    assert ranges.last(2) == [(20, 25), (10, 15)]
    assert ranges.last(9) == [(20, 25), (10, 15), (0, 5)]


def test_clear_leaves_nothing() -> None:
    ranges = RangeSet([(0, 5)])
    ranges.clear()
    assert not ranges
    assert ranges == RangeSet()


def test_repr_names_inclusive_ranges() -> None:
    assert repr(RangeSet([(0, 5), (7, 8)])) == "RangeSet({0..4, 7..7})"
