from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawchat.net.user_events import Back, Silent
from client.watch import PATIENCE, Watch


def test_nobody_who_was_not_asked_is_silent() -> None:
    assert Watch().tick(now=1000.0) is None


def test_silence_is_told_after_some_patience_and_then_ever_more_rarely() -> None:
    watch = Watch()
    watch.asked(now=100.0)
    told = [event for second in range(100) if (event := watch.tick(now=100.0 + second))]
    assert told == [Silent(seconds) for seconds in (PATIENCE, 10.0, 20.0, 40.0, 80.0)]


def test_an_answer_ends_a_silence_once() -> None:
    watch = Watch()
    watch.asked(now=100.0)
    watch.asked(now=105.0)
    assert watch.tick(now=106.0) == Silent(6.0)
    was_silent = watch.silent
    assert watch.answered(106.5, now=107.0) == Back(7.0)
    assert watch.answered(107.0, now=108.0) is None
    assert (was_silent, watch.silent) == (True, False)
    assert watch.waiting(now=200.0) == 0.0


def test_an_answer_in_time_is_no_news() -> None:
    watch = Watch()
    watch.asked(now=100.0)
    assert watch.answered(100.5, now=101.0) is None
    assert watch.tick(now=200.0) is None


def test_an_old_answer_does_not_answer_a_new_question() -> None:
    watch = Watch()
    watch.asked(now=100.0)
    watch.asked(now=100.9)
    assert watch.answered(100.1, now=101.0) is None
    assert watch.waiting(now=103.0) == 103.0 - 100.9
    assert watch.tick(now=100.9 + PATIENCE) is not None


@given(st.lists(st.tuples(st.sampled_from(["asked", "answered", "tick"]), st.floats(0, 20))))
def test_back_comes_only_after_silence_and_ends_it(steps: list[tuple[str, float]]) -> None:
    watch, now, silent = Watch(), 0.0, False
    for what, wait in steps:
        now += wait
        if what == "asked":
            watch.asked(now=now)
        elif what == "answered":
            told = watch.answered(now, now=now)
            assert (told is not None) == silent
            silent = False
        elif watch.tick(now=now) is not None:
            silent = True
        assert watch.silent == silent
