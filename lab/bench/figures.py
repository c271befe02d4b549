"""The figures of a run and the arithmetic that makes few of many; pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Sample:
    """What one round measured of one peer; None where the peer has no such figure."""

    goodput_gbit_s: float | None = None
    """Application bytes that arrived, in 10^9 bit/s."""
    cpu_s_per_gib: float | None = None
    """Processor seconds of both ends, and of every helper process, for each 2^30 application bytes."""
    rtt_p50_us: float | None = None
    rtt_p99_us: float | None = None
    setup_ms: float | None = None
    """From wanting an association to its first 64 bytes echoed."""


METRICS: Final = tuple(field.name for field in fields(Sample))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` percent of the values do not exceed (nearest rank)."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 100)
    return ordered[max(int(rank), 1) - 1]


def bulk_sample(size: float, seconds: float, cpu: float) -> tuple[float, float]:
    """Return goodput in Gbit/s and CPU s/GiB of `size` bytes moved in `seconds` for `cpu` processor seconds."""
    return size * 8 / seconds / 1e9, cpu / (size / GIB)


def column(samples: Sequence[Sample], metric: str) -> list[float]:
    """Return one metric of those samples that have it."""
    values: list[float | None] = [getattr(sample, metric) for sample in samples]
    return [value for value in values if value is not None]


def median(samples: Sequence[Sample], metric: str) -> float | None:
    """Return the median of one metric over the rounds, None when no round has it."""
    values = column(samples, metric)
    return statistics.median(values) if values else None


def median_ratio(samples: Sequence[Sample], reference: Sequence[Sample], metric: str) -> float | None:
    """Return the median, over rounds, of a peer's figure divided by the reference's figure of the same round.

    Machines drift by tens of percent from minute to minute, so only figures taken side by side are divided.
    """
    ratios = [
        ours / theirs
        for sample, other in zip(samples, reference, strict=False)
        if (ours := getattr(sample, metric)) is not None and (theirs := getattr(other, metric))
    ]
    return statistics.median(ratios) if ratios else None


def median_difference(samples: Sequence[Sample], baseline: Sequence[Sample], metric: str) -> float | None:
    """Return the median, over rounds, of a peer's figure minus the baseline's figure of the same round."""
    differences = [
        ours - theirs
        for sample, other in zip(samples, baseline, strict=False)
        if (ours := getattr(sample, metric)) is not None and (theirs := getattr(other, metric)) is not None
    ]
    return statistics.median(differences) if differences else None
