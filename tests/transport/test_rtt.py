from __future__ import annotations

import pytest

from clawchat.transport.rtt import GRANULARITY, INITIAL_RTT, RttEstimator


def test_before_any_sample() -> None:
    rtt = RttEstimator()
    assert rtt.smoothed == INITIAL_RTT
    assert rtt.sampled_at is None
    assert rtt.pto(0.025) == pytest.approx(INITIAL_RTT + 4 * INITIAL_RTT / 2 + 0.025)


def test_first_sample_sets_everything_and_ignores_the_delay() -> None:
    rtt = RttEstimator()
    rtt.update(0.1, 0.05, now=7.0)
    assert (rtt.latest, rtt.minimum, rtt.smoothed, rtt.variance, rtt.sampled_at) == (0.1, 0.1, 0.1, 0.05, 7.0)


def test_later_samples_follow_section_5_3() -> None:
    rtt = RttEstimator()
    rtt.update(0.100, 0.0, now=1.0)
    rtt.update(0.180, 0.020, now=2.0)
    assert rtt.latest == 0.180
    assert rtt.minimum == 0.100
    assert rtt.variance == pytest.approx(0.75 * 0.050 + 0.25 * 0.060)
    assert rtt.smoothed == pytest.approx(0.875 * 0.100 + 0.125 * 0.160)
    assert rtt.sampled_at == 1.0


def test_a_delay_that_would_go_below_the_minimum_is_ignored() -> None:
    rtt = RttEstimator()
    rtt.update(0.100, 0.0, now=1.0)
    rtt.update(0.110, 0.050, now=2.0)
    assert rtt.smoothed == pytest.approx(0.875 * 0.100 + 0.125 * 0.110)


def test_the_probe_timeout_never_waits_less_than_the_timer_grain() -> None:
    rtt = RttEstimator()
    for turn in range(200):
        rtt.update(0.050, 0.0, now=float(turn))
    assert rtt.pto(0.0) == pytest.approx(0.050 + GRANULARITY)


def test_time_that_stood_still_is_a_sample_of_zero() -> None:
    rtt = RttEstimator()
    rtt.update(-1e-9, 0.0, now=1.0)
    assert rtt.latest == 0.0
