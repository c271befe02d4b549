from __future__ import annotations

import pytest

from clawchat.transport import NewReno, Pacer, RttEstimator
from clawchat.transport.pacing import BURST_SECONDS, GAIN, SLOW_START_GAIN

UNIT = 1200


def make(window: int, rtt: float, *, slow_start: bool = False) -> Pacer:
    control, estimator = NewReno(UNIT), RttEstimator()
    control.window = window
    control.threshold = None if slow_start else 1
    estimator.update(rtt, 0.0, now=0.0)
    return Pacer(control, estimator)


def test_the_rate_is_the_window_each_round_trip_and_a_little_more() -> None:
    assert make(1_000_000, 0.1).rate == pytest.approx(GAIN * 10_000_000)
    assert make(1_000_000, 0.1, slow_start=True).rate == pytest.approx(SLOW_START_GAIN * 10_000_000)


def test_the_initial_window_may_go_at_once() -> None:
    pacer = Pacer(NewReno(UNIT), RttEstimator())
    assert pacer.allowance(now=5.0) == 10 * UNIT


def test_what_was_spent_comes_back_with_time() -> None:
    pacer = make(1_000_000, 0.1)
    full = pacer.allowance(now=1.0)
    pacer.spend(full)
    assert pacer.allowance(now=1.0) == 0
    assert pacer.allowance(now=1.001) == pytest.approx(12_500, abs=2)


def test_the_bucket_holds_two_milliseconds_and_no_more() -> None:
    pacer = make(10_000_000, 0.1)
    pacer.spend(pacer.allowance(now=1.0))
    assert pacer.allowance(now=100.0) == int(pacer.rate * BURST_SECONDS)


def test_ready_when_the_bucket_has_filled() -> None:
    pacer = make(1_000_000, 0.1)
    pacer.spend(pacer.allowance(now=1.0))
    when = pacer.ready_at(10_000)
    assert when == pytest.approx(1.0 + 10_000 / pacer.rate, abs=1e-6)
    assert pacer.allowance(now=when) >= 10_000 - 1
    assert pacer.ready_at(100) == when


def test_more_than_the_bucket_holds_is_never_waited_for() -> None:
    pacer = make(100_000, 1.0)
    pacer.spend(pacer.allowance(now=1.0))
    when = pacer.ready_at(10_000_000)
    assert pacer.allowance(now=when) == pytest.approx(10 * UNIT, abs=1)


def test_probes_sent_beyond_the_allowance_are_owed() -> None:
    pacer = make(100_000, 1.0)
    pacer.spend(pacer.allowance(now=1.0) + 2 * UNIT)
    assert pacer.allowance(now=1.0) < 0
    assert pacer.ready_at(UNIT) == pytest.approx(1.0 + 3 * UNIT / pacer.rate, abs=1e-4)


def test_a_round_trip_of_nothing_has_a_rate() -> None:
    assert make(12_000, 0.0).allowance(now=1.0) > 0
