from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.transport import RunList, SentRun, StreamRun


def bulk() -> SentRun:
    """Make ten packets, of 100 stream bytes each but the last, which has 50."""
    return SentRun(20, 10, 1.5, 1200, chunk=100, run=StreamRun(4, 1000, 950, fin=True), frames=("window",), probe=False)


def test_the_first_piece_keeps_frames_and_the_last_keeps_fin() -> None:
    front, back = bulk().split(23)
    assert (front.first, front.count, front.stop) == (20, 3, 23)
    assert front.run == StreamRun(4, 1000, 300, fin=False)
    assert front.frames == ("window",)
    assert (back.first, back.count, back.stop) == (23, 7, 30)
    assert back.run == StreamRun(4, 1300, 650, fin=True)
    assert back.frames == ()


def test_the_last_packet_carries_the_rest() -> None:
    assert bulk().split(29)[1].run == StreamRun(4, 1900, 50, fin=True)


def test_pieces_inherit_what_describes_every_packet() -> None:
    run = SentRun(0, 2, 3.25, 1400, eliciting=True, probe=True)
    for piece in run.split(1):
        assert (piece.sent_at, piece.size, piece.eliciting, piece.probe) == (3.25, 1400, True, True)


def test_splitting_leaves_the_run_as_it_was() -> None:
    run = bulk()
    run.split(25)
    assert (run.first, run.stop, run.run) == (20, 30, StreamRun(4, 1000, 950, fin=True))


SPANS = st.tuples(st.integers(0, 70), st.integers(0, 70)).map(lambda ends: (min(ends), max(ends)))


@given(st.lists(st.integers(1, 6), max_size=12), st.lists(SPANS))
def test_take_removes_exactly_the_packets_asked_for(counts: list[int], asked: list[tuple[int, int]]) -> None:
    runs = RunList()
    number = 3
    for count in counts:
        runs.append(SentRun(number, count, 0.0, 1200, chunk=10, run=StreamRun(0, number * 10, count * 10, fin=False)))
        number += count + count % 2  # some numbers are skipped
    held = {value for run in runs for value in range(run.first, run.stop)}
    for low, high in asked:
        taken = runs.take(low, high)
        numbers = [value for run in taken for value in range(run.first, run.stop)]
        assert numbers == sorted(held & set(range(low, high + 1)))
        assert all(run.run == StreamRun(0, run.first * 10, run.count * 10, fin=False) for run in taken)
        held -= set(numbers)
        assert [value for run in runs for value in range(run.first, run.stop)] == sorted(held)


def test_a_run_taken_whole_is_the_run_itself() -> None:
    runs = RunList()
    run = bulk()
    runs.append(run)
    assert runs.take(0, 99) == [run]
    assert len(runs) == 0


def test_take_front_and_below() -> None:
    runs = RunList()
    made = [SentRun(number, 1, 0.0, 1200) for number in (1, 4, 9)]
    runs.extend(made)
    assert runs.below(4) == 1
    assert runs.below(5) == 2
    assert runs.take_front(2) == made[:2]
    assert runs.lowest() == 9


def test_lowest_of_nothing() -> None:
    with pytest.raises(IndexError):
        RunList().lowest()
