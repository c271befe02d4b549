"""The round-trip time of a path (RFC 9002 section 5)."""

from __future__ import annotations

from typing import Final

INITIAL_RTT: Final = 0.333
"""The round-trip time of a path before its first sample (RFC 9002 section 6.2.2)."""

GRANULARITY: Final = 0.001
"""The grain of the timers (RFC 9002 section 6.1.2, kGranularity)."""


class RttEstimator:
    """Estimates from the samples of one path; every value is in seconds.

    ``latest`` is the last sample, ``minimum`` the smallest one without any correction, ``smoothed`` the
    weighted mean, ``variance`` its mean deviation. ``sampled_at`` is when the first sample came, or None.
    """

    __slots__ = ("latest", "minimum", "sampled_at", "smoothed", "variance")

    def __init__(self, initial: float = INITIAL_RTT) -> None:
        self.latest = initial
        self.minimum = initial
        self.smoothed = initial
        self.variance = initial / 2
        self.sampled_at: float | None = None

    def update(self, latest: float, ack_delay: float, *, now: float) -> None:
        """Take one sample; ``ack_delay`` is the peer's own delay, already capped at what it promised."""
        latest = max(latest, 0.0)
        self.latest = latest
        if self.sampled_at is None:
            self.sampled_at = now
            self.minimum = latest
            self.smoothed = latest
            self.variance = latest / 2
            return
        minimum = self.minimum = min(self.minimum, latest)
        adjusted = latest - ack_delay if latest >= minimum + ack_delay else latest
        smoothed = self.smoothed
        self.variance += (abs(smoothed - adjusted) - self.variance) / 4
        self.smoothed = smoothed + (adjusted - smoothed) / 8

    def pto(self, max_ack_delay: float) -> float:
        """Compute the probe timeout, before any backoff (RFC 9002 section 6.2.1)."""
        return self.smoothed + max(4 * self.variance, GRANULARITY) + max_ack_delay
