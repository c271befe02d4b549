from __future__ import annotations

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
    assert watch.heard(now=107.0) == Back(7.0)
    assert watch.heard(now=108.0) is None
    assert (was_silent, watch.silent) == (True, False)
    assert watch.waiting(now=200.0) == 0.0


def test_an_answer_in_time_is_no_news() -> None:
    watch = Watch()
    watch.asked(now=100.0)
    assert watch.heard(now=101.0) is None
    assert watch.tick(now=200.0) is None
