from __future__ import annotations

import pytest

from clawchat.transport import Cubic, RttEstimator
from clawchat.transport.cubic import CUBIC_BETA, CUBIC_C, RENO_ALPHA

UNIT = 1200
RTT = 0.1


def measured(rtt: float) -> RttEstimator:
    estimator = RttEstimator()
    estimator.update(rtt, 0.0, now=0.0)
    return estimator


def reduced(window: int) -> Cubic:
    """Make a controller that lost its first packet at this window, at time 0."""
    control = Cubic(UNIT)
    control.window = window
    control.on_lost(UNIT, -0.1, now=0.0)
    return control


def run(control: Cubic, begin: float, end: float, rtt: float, *, app_limited: bool = False) -> None:
    """Acknowledge the window once a round trip, in 20 ACKs."""
    estimator = measured(rtt)
    now = begin
    while now < end:
        control.on_acked(control.window // 20, now - rtt, now=now, rtt=estimator, app_limited=app_limited)
        now += rtt / 20


def curve(at: float, peak: float, start: float) -> float:
    """Compute W_cubic(t) of RFC 9438, figure 1, in datagrams."""
    k: float = ((peak - start) / CUBIC_C) ** (1 / 3)
    return CUBIC_C * (at - k) ** 3 + peak


@pytest.mark.parametrize("seconds", [1.0, 2.0, 4.0, 6.0, 8.0, 9.0])
def test_the_window_follows_the_curve_of_the_rfc(seconds: float) -> None:
    control = reduced(1000 * UNIT)
    run(control, RTT, RTT + seconds, RTT)
    assert control.window / UNIT == pytest.approx(curve(seconds, 1000, 1000 * CUBIC_BETA), rel=0.02)


def test_a_loss_keeps_seven_tenths() -> None:
    assert reduced(1000 * UNIT).window == int(1000 * UNIT * CUBIC_BETA)


def test_on_a_short_path_it_is_at_least_as_fast_as_reno() -> None:
    control = reduced(20 * UNIT)
    rounds = 40
    run(control, 0.001, 0.001 + rounds * 0.001, 0.001)
    grown = control.window / UNIT - 20 * CUBIC_BETA
    first = (20 - 20 * CUBIC_BETA) / RENO_ALPHA  # rounds until the window before the loss is reached
    assert grown == pytest.approx(20 - 20 * CUBIC_BETA + rounds - first, rel=0.1)


def test_falling_peaks_make_room_for_others() -> None:
    first = reduced(1000 * UNIT)
    first.on_lost(UNIT, 0.5, now=0.6)
    assert first.window == int(int(1000 * UNIT * CUBIC_BETA) * CUBIC_BETA)
    second = reduced(700 * UNIT)
    assert second.window == first.window
    run(first, 1.0, 8.0, RTT)  # to the plateau of either
    run(second, 1.0, 8.0, RTT)
    assert first.window / UNIT == pytest.approx(700 * (1 + CUBIC_BETA) / 2, rel=0.01)
    assert second.window / UNIT == pytest.approx(700, rel=0.01)


def test_time_does_not_run_while_the_window_is_not_used() -> None:
    busy, idle = reduced(1000 * UNIT), reduced(1000 * UNIT)
    run(busy, 1.0, 4.0, RTT)
    run(busy, 4.0, 6.0, RTT)
    run(idle, 1.0, 4.0, RTT)
    run(idle, 4.0, 64.0, RTT, app_limited=True)
    run(idle, 64.0, 66.0, RTT)
    assert idle.window == pytest.approx(busy.window, rel=0.01)


def test_time_does_not_run_in_silence() -> None:
    busy, idle = reduced(1000 * UNIT), reduced(1000 * UNIT)
    run(busy, 1.0, 6.0, RTT)
    run(idle, 1.0, 4.0, RTT)
    run(idle, 94.0, 96.0, RTT)
    assert idle.window == pytest.approx(busy.window, rel=0.01)


def test_however_late_it_is_a_round_trip_adds_half_a_window_at_most() -> None:
    control = reduced(10 * UNIT)
    estimator = measured(RTT)
    for turn in range(2, 60):
        control.on_acked(1, turn - RTT, now=float(turn), rtt=estimator, app_limited=False)
    window = control.window
    run(control, 59.9, 59.9 + RTT, RTT)
    assert 1.4 * window < control.window < 1.7 * window


def test_without_a_loss_the_curve_begins_where_slow_start_ended() -> None:
    control = Cubic(UNIT)
    control.window = control.threshold = 500 * UNIT
    run(control, 1.0, 3.0, RTT)
    assert control.window / UNIT == pytest.approx(max(500 + CUBIC_C * 2**3, 520), rel=0.01)
