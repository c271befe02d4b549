from __future__ import annotations

import pytest

from clawchat.transport import CongestionController, Cubic, NewReno, RttEstimator

UNIT = 1200
CONTROLLERS = pytest.mark.parametrize("make", [NewReno, Cubic])


def measured(rtt: float = 0.1) -> RttEstimator:
    estimator = RttEstimator()
    estimator.update(rtt, 0.0, now=0.0)
    return estimator


def ack(control: CongestionController, size: int, now: float, *, app_limited: bool = False) -> None:
    control.on_acked(size, now - 0.1, now=now, rtt=measured(), app_limited=app_limited)


@CONTROLLERS
def test_slow_start_doubles_in_a_round_trip(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    assert control.window == 10 * UNIT
    assert control.in_slow_start
    for turn in range(10):
        ack(control, UNIT, 1.0 + turn / 1000)
    assert control.window == 20 * UNIT


@CONTROLLERS
def test_a_window_that_was_not_used_stays(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    ack(control, 10 * UNIT, 1.0, app_limited=True)
    control.on_lost(UNIT, 1.0, now=1.1)
    window = control.window
    for turn in range(100):
        ack(control, UNIT, 2.0 + turn, app_limited=True)
    assert control.window == window


@CONTROLLERS
def test_one_reduction_for_what_was_sent_before_it(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    control.on_lost(UNIT, 1.0, now=1.1)
    window = control.window
    assert window < 10 * UNIT
    assert not control.in_slow_start
    control.on_lost(UNIT, 1.05, now=1.15)
    assert control.window == window
    control.on_lost(UNIT, 1.12, now=1.2)
    assert control.window < window


@CONTROLLERS
def test_the_window_waits_for_packets_sent_after_the_reduction(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    control.on_lost(UNIT, 1.0, now=1.1)
    window = control.window
    control.on_acked(5 * UNIT, 1.05, now=1.15, rtt=measured(), app_limited=False)
    assert control.window == window


@CONTROLLERS
def test_the_window_never_falls_below_four_datagrams(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    for turn in range(1, 30):
        control.on_lost(UNIT, float(turn), now=turn + 0.1)
    assert control.window == 4 * UNIT


@CONTROLLERS
def test_a_loss_that_was_none_is_taken_back(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    control.on_lost(2 * UNIT, 1.0, now=1.1)
    control.on_spurious_loss(UNIT, 0.9)
    assert control.window < 10 * UNIT
    control.on_spurious_loss(UNIT, 1.0)
    assert control.window == 10 * UNIT
    assert control.in_slow_start


@CONTROLLERS
def test_one_real_loss_among_late_packets_keeps_the_reduction(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    control.on_lost(2 * UNIT, 1.0, now=1.1)
    control.on_lost(UNIT, 1.05, now=1.15)
    window = control.window
    control.on_spurious_loss(2 * UNIT, 1.0)
    assert control.window == window


@CONTROLLERS
def test_a_late_packet_of_an_earlier_loss_does_not_take_back_this_one(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    control.on_lost(UNIT, 1.0, now=1.1)
    control.on_lost(UNIT, 1.2, now=1.3)
    window = control.window
    control.on_spurious_loss(UNIT, 1.0)
    assert control.window == window


@CONTROLLERS
def test_persistent_congestion_begins_again_from_the_bottom(make: type[Cubic | NewReno]) -> None:
    control = make(UNIT)
    for turn in range(90):
        ack(control, UNIT, 1.0 + turn / 1000)
    control.on_lost(UNIT, 2.0, now=2.1)
    target = control.window
    control.on_persistent_congestion()
    windows = [control.window]
    while control.in_slow_start:
        ack(control, control.window, 3.0 + len(windows))
        windows.append(control.window)
    assert windows[:3] == [4 * UNIT, 8 * UNIT, 16 * UNIT]
    assert windows[-1] == target


def test_reno_grows_by_one_datagram_a_round_trip_and_halves() -> None:
    control = NewReno(UNIT)
    control.on_lost(UNIT, 1.0, now=1.1)
    assert control.window == 5 * UNIT
    for turn in range(5):
        ack(control, UNIT, 2.0 + turn / 100)
    assert control.window == pytest.approx(6 * UNIT, rel=0.03)


def test_growth_below_a_byte_is_not_lost() -> None:
    control = NewReno(UNIT)
    control.window = 100_000_000
    control.threshold = 1
    for turn in range(1000):
        ack(control, 10_000, 2.0 + turn / 1000)
    assert control.window - 100_000_000 == pytest.approx(120, abs=1)
