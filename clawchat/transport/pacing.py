"""Spread a window over its round trip (RFC 9002 section 7.7)."""

from __future__ import annotations

from typing import Final

from clawchat.transport.congestion import CongestionController
from clawchat.transport.rtt import RttEstimator

SLOW_START_GAIN: Final = 2.0
"""In slow start the window doubles in a round trip, so twice the rate is needed (as Linux, tcp_pacing_ss_ratio)."""

GAIN: Final = 1.25
"""A little faster than one window a round trip, so that the window is used (RFC 9002 section 7.7, N)."""

BURST_DATAGRAMS: Final = 10
"""So many datagrams may always go at once: the initial window (RFC 9002 section 7.7)."""

BURST_SECONDS: Final = 0.002
"""So much time may be sent at once: the driver's timers have a grain of 1 ms."""

MIN_RTT: Final = 1e-5
"""Round trips below this, seconds, are taken as this, so that a rate is always finite."""


class Pacer:
    """A bucket of bytes that fills at the rate of the path."""

    __slots__ = ("_at", "_tokens", "congestion", "rtt")

    def __init__(self, congestion: CongestionController, rtt: RttEstimator) -> None:
        self.congestion = congestion
        self.rtt = rtt
        self._tokens = 0.0
        self._at = -1.0  # before any time, so that the bucket starts full

    @property
    def rate(self) -> float:
        """Return the bytes a second."""
        congestion = self.congestion
        gain = SLOW_START_GAIN if congestion.in_slow_start else GAIN
        return gain * congestion.window / max(self.rtt.smoothed, MIN_RTT)

    def allows(self, size: int, *, now: float) -> bool:
        """Tell whether ``size`` bytes may be sent now; cheap while the bucket holds enough."""
        return self._tokens >= size or self.allowance(now=now) >= size

    def allowance(self, *, now: float) -> int:
        """Return how many bytes may be sent now; at most 0 when none may."""
        rate = self.rate
        depth = max(rate * BURST_SECONDS, BURST_DATAGRAMS * self.congestion.max_datagram)
        self._tokens = depth if self._at < 0 else min(depth, self._tokens + (now - self._at) * rate)
        self._at = now
        return int(self._tokens)

    def spend(self, size: int) -> None:
        """Take ``size`` bytes sent; more than was allowed is owed."""
        self._tokens -= size

    def ready_at(self, size: int) -> float:
        """Return when ``size`` bytes, or a full bucket if that is less, may be sent, counted from the last call."""
        rate = self.rate
        depth = max(rate * BURST_SECONDS, BURST_DATAGRAMS * self.congestion.max_datagram)
        return self._at + max(0.0, min(size, depth) - self._tokens) / rate
