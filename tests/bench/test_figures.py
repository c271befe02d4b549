"""The arithmetic of the benchmarks."""

from __future__ import annotations

import pytest

from lab.bench.figures import Sample, bulk_sample, median, median_difference, median_ratio, percentile


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([7.0], 50, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0, 3.0, 4.0], 50, 2.0),
        (list(range(1, 101)), 99, 99),
        (list(range(1, 101)), 100, 100),
        ([5.0, 6.0], 0, 5.0),
    ],
)
def test_percentile_is_the_nearest_rank(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_percentile_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_goodput_is_decimal_and_cpu_is_per_binary_gigabyte() -> None:
    goodput, cpu = bulk_sample(size=1 << 30, seconds=2.0, cpu=3.0)
    assert goodput == pytest.approx(4.294967296)
    assert cpu == 3.0


def test_median_leaves_out_rounds_without_the_figure() -> None:
    samples = [Sample(goodput_gbit_s=1.0), Sample(), Sample(goodput_gbit_s=3.0)]
    assert median(samples, "goodput_gbit_s") == 2.0
    assert median(samples, "setup_ms") is None


def test_a_ratio_divides_only_within_a_round() -> None:
    # The machine halved its speed in round two; the ratio of the medians would be the same only by luck.
    ours = [Sample(goodput_gbit_s=4.0), Sample(goodput_gbit_s=2.0)]
    theirs = [Sample(goodput_gbit_s=2.0), Sample(goodput_gbit_s=1.0), Sample(goodput_gbit_s=100.0)]
    assert median_ratio(ours, theirs, "goodput_gbit_s") == 2.0
    assert median_ratio(theirs, ours, "goodput_gbit_s") == 0.5


def test_a_ratio_to_nothing_is_nothing() -> None:
    assert median_ratio([Sample(goodput_gbit_s=1.0)], [Sample()], "goodput_gbit_s") is None
    assert median_ratio([], [], "goodput_gbit_s") is None


def test_a_difference_subtracts_only_within_a_round() -> None:
    ours = [Sample(rtt_p50_us=110.0), Sample(rtt_p50_us=250.0), Sample(rtt_p50_us=125.0)]
    bare = [Sample(rtt_p50_us=60.0), Sample(rtt_p50_us=200.0), Sample(rtt_p50_us=65.0)]
    assert median_difference(ours, bare, "rtt_p50_us") == 50.0
