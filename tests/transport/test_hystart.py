from __future__ import annotations

import pytest

from clawchat.transport.hystart import CONSERVATIVE_DIVISOR, CONSERVATIVE_ROUNDS, SAMPLES, HyStart


def play_round(hystart: HyStart, began: float, rtt: float, *, samples: int = SAMPLES) -> float:
    """Acknowledge ``samples`` packets, all sent after the round before; return the growth of the last."""
    growth = 0.0
    for _ in range(samples):
        growth = hystart.growth(1000, began, rtt, now=began + rtt)
        began += 1e-6
    return growth


def test_steady_round_trips_keep_slow_start() -> None:
    hystart = HyStart()
    for turn in range(20):
        assert play_round(hystart, turn * 1.0, 0.1) == 1000
    assert not hystart.finished


@pytest.mark.parametrize(("base", "longer"), [(0.010, 0.0145), (0.080, 0.091), (0.500, 0.517)])
def test_longer_round_trips_slow_the_growth(base: float, longer: float) -> None:
    hystart = HyStart()
    play_round(hystart, 0.0, base)
    assert play_round(hystart, 1.0, longer) == 1000 / CONSERVATIVE_DIVISOR


@pytest.mark.parametrize(("base", "longer"), [(0.0002, 0.004), (0.080, 0.089), (0.500, 0.515)])
def test_noise_does_not(base: float, longer: float) -> None:
    hystart = HyStart()
    play_round(hystart, 0.0, base)
    assert play_round(hystart, 1.0, longer) == 1000


def test_a_few_samples_prove_nothing() -> None:
    hystart = HyStart()
    play_round(hystart, 0.0, 0.1)
    assert play_round(hystart, 1.0, 0.2, samples=SAMPLES - 1) == 1000


def test_after_five_more_rounds_slow_start_is_over() -> None:
    hystart = HyStart()
    play_round(hystart, 0.0, 0.1)
    for turn in range(1, CONSERVATIVE_ROUNDS + 1):
        play_round(hystart, float(turn), 0.15)
        assert not hystart.finished
    play_round(hystart, CONSERVATIVE_ROUNDS + 1.0, 0.15)
    assert hystart.finished


def test_a_round_trip_that_recovers_was_jitter() -> None:
    hystart = HyStart()
    play_round(hystart, 0.0, 0.1)
    play_round(hystart, 1.0, 0.15)
    assert play_round(hystart, 2.0, 0.1) == 1000
