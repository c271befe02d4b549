"""Congestion control behind one small interface, what its algorithms share, and NewReno (RFC 9002 section 7)."""

from __future__ import annotations

from typing import Final, Protocol

from clawchat.transport.hystart import HyStart
from clawchat.transport.rtt import RttEstimator
from clawchat.values.limits import BASE_DATAGRAM

INITIAL_DATAGRAMS: Final = 10
"""The window of a new path (RFC 9002 section 7.2; with base datagrams it is below that section's 14,720 bytes)."""

MINIMUM_DATAGRAMS: Final = 4
"""The smallest window. RFC 9002 section 7.2 recommends two datagrams, of which a path that loses many packets whatever
the rate often loses the second, and then all waits for a delayed acknowledgement or a probe timeout."""

RENO_REDUCTION: Final = 0.5
"""What NewReno keeps of the window after a loss (RFC 9002 section 7.3.2, kLossReductionFactor)."""


class CongestionController(Protocol):
    """How many bytes may be in flight on one path; sizes are bytes of whole datagrams."""

    window: int
    """Bytes that may be in flight."""
    max_datagram: int
    """The path's datagram size, in which the window is counted; set again when it grows."""

    @property
    def in_slow_start(self) -> bool:
        """Tell whether the window still grows exponentially."""

    def on_acked(self, size: int, sent_at: float, *, now: float, rtt: RttEstimator, app_limited: bool) -> None:
        """Take ``size`` bytes newly acknowledged by one ACK, of which the latest were sent at ``sent_at``.

        ``app_limited`` says that the window was not used, so that it must not grow.
        """

    def on_lost(self, size: int, last_sent_at: float, *, now: float) -> None:
        """Take ``size`` bytes newly lost, of which the latest were sent at ``last_sent_at``."""

    def on_spurious_loss(self, size: int, sent_at: float) -> None:
        """Take back ``size`` bytes of what ``on_lost`` was told: they were acknowledged late."""

    def on_persistent_congestion(self) -> None:
        """Begin again with the smallest window."""


class WindowBase:
    """What the algorithms share: slow start with HyStart++, one reduction a round trip, and taking it back.

    ``threshold`` is where slow start ends, None before the first reduction.
    """

    __slots__ = ("_before", "_carry", "_event_bytes", "_hystart", "_reduced_at", "max_datagram", "threshold", "window")

    def __init__(self, max_datagram: int = BASE_DATAGRAM) -> None:
        self.max_datagram = max_datagram
        self.window = INITIAL_DATAGRAMS * max_datagram
        self.threshold: int | None = None
        self._hystart = HyStart()
        self._reduced_at: float | None = None
        self._event_bytes = 0  # lost since the last reduction and not yet found to be late
        # window, threshold and reduction before the last reduction
        self._before: tuple[int, int | None, float | None] | None = None
        self._carry = 0.0  # growth that is not yet a whole byte

    @property
    def in_slow_start(self) -> bool:
        """Tell whether the window still grows exponentially."""
        return self.threshold is None or self.window < self.threshold

    def on_acked(self, size: int, sent_at: float, *, now: float, rtt: RttEstimator, app_limited: bool) -> None:
        """Grow the window, unless the packets were sent before the last reduction or the window was not used."""
        if (self._reduced_at is not None and sent_at <= self._reduced_at) or app_limited:
            self._paused(now)
        elif self.threshold is None:
            self._carry += self._hystart.growth(size, sent_at, rtt.latest, now=now)
            if self._hystart.finished:
                self.threshold = self.window
        elif self.window < self.threshold:
            self._carry += min(size, self.threshold - self.window)
        else:
            self._carry += self._avoidance(size, now, rtt.smoothed)
        grown = int(self._carry)
        self._carry -= grown
        self.window += grown

    def on_lost(self, size: int, last_sent_at: float, *, now: float) -> None:
        """Reduce the window, once for everything that was sent before the reduction."""
        if self._reduced_at is not None and last_sent_at <= self._reduced_at:
            self._event_bytes += size
            return
        self._before = (self.window, self.threshold, self._reduced_at)
        self._event_bytes = size
        self._reduced_at = now
        self._carry = 0.0
        self.window = self.threshold = max(self._reduction(), MINIMUM_DATAGRAMS * self.max_datagram)

    def on_spurious_loss(self, size: int, sent_at: float) -> None:
        """Take the last reduction back when everything it was made for did arrive (RFC 9438 section 4.9.2)."""
        if self._before is None or self._reduced_at is None or sent_at > self._reduced_at:
            return
        window, threshold, reduced_at = self._before
        if reduced_at is not None and sent_at <= reduced_at:  # lost in an earlier round trip
            return
        self._event_bytes -= size
        if self._event_bytes <= 0:
            self.window = max(self.window, window)
            self.threshold = threshold
            self._reduced_at = reduced_at
            self._before = None
            self._restored()

    def on_persistent_congestion(self) -> None:
        """Begin again with the smallest window (RFC 9002 section 7.6.2).

        What else is lost of what was sent until now does not reduce the window again.
        """
        self.window = MINIMUM_DATAGRAMS * self.max_datagram
        self._before = None
        self._carry = 0.0
        self._collapsed()

    # What an algorithm adds:

    def _avoidance(self, size: int, now: float, rtt: float) -> float:
        """Return how many bytes the window grows in congestion avoidance."""
        raise NotImplementedError

    def _reduction(self) -> int:
        """Return the window after a loss."""
        raise NotImplementedError

    def _paused(self, now: float) -> None:
        """Note an acknowledgement that the window does not grow by."""

    def _restored(self) -> None:
        """Note that the last reduction was taken back."""

    def _collapsed(self) -> None:
        """Note that the window is the smallest one again."""


class NewReno(WindowBase):
    """Grow by one datagram a round trip, halve on loss (RFC 9002 section 7.3)."""

    __slots__ = ()

    def _avoidance(self, size: int, now: float, rtt: float) -> float:  # noqa: ARG002 - time does not matter to it
        return self.max_datagram * size / self.window

    def _reduction(self) -> int:
        return int(self.window * RENO_REDUCTION)
