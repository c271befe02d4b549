"""CUBIC (RFC 9438): after a loss, grow back to the last window quickly, linger there, then search beyond it."""

from __future__ import annotations

from typing import Final

from clawchat.transport.congestion import WindowBase
from clawchat.values.limits import BASE_DATAGRAM

CUBIC_C: Final = 0.4
"""How steep the curve is, datagrams a cubic second (RFC 9438 section 5)."""

CUBIC_BETA: Final = 0.7
"""What is kept of the window after a loss (RFC 9438 section 4.6)."""

RENO_ALPHA: Final = 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA)
"""Datagrams a round trip by which a Reno flow with this beta grows (RFC 9438 section 4.3)."""

MAX_GROWTH: Final = 1.5
"""The target of one round trip is at most this many windows (RFC 9438 section 4.4)."""

IDLE_GAP: Final = 1.0
"""After this long without acknowledgements, seconds, the flow was idle and its time did not run."""


class Cubic(WindowBase):
    """A window on the curve W(t) = C (t - K)^3 + origin, counted in bytes (RFC 9438 section 4.2)."""

    __slots__ = (
        "_acked_at",
        "_before_reduction",
        "_began",
        "_began_at",
        "_k",
        "_origin",
        "_peak",
        "_peak_before",
        "_reno",
    )

    def __init__(self, max_datagram: int = BASE_DATAGRAM) -> None:
        super().__init__(max_datagram)
        self._began = False
        self._began_at = 0.0  # when this stretch of avoidance began, moved on by pauses
        self._acked_at = 0.0
        self._k = 0.0
        self._origin = 0.0
        self._peak = 0.0  # W_max: the window before the last reduction
        self._peak_before = 0.0
        self._before_reduction = 0  # the window at which Reno's growth is matched in full
        self._reno = 0.0  # W_est: the window a Reno flow would have

    def _avoidance(self, size: int, now: float, rtt: float) -> float:
        window, unit = self.window, self.max_datagram
        if not self._began:
            self._begin(now)
        elif now - self._acked_at > IDLE_GAP + rtt:
            self._paused(now)
        self._acked_at = now
        steepness = CUBIC_C * unit
        alpha = RENO_ALPHA if self._reno < self._before_reduction else 1.0
        self._reno += alpha * unit * size / window
        elapsed = now - self._began_at - self._k
        if self._origin + steepness * elapsed**3 < self._reno:
            return max(0.0, self._reno - window - self._carry)
        target = self._origin + steepness * (elapsed + rtt) ** 3
        target = min(max(target, window), MAX_GROWTH * window)
        return (target - window) * size / window

    def _begin(self, now: float) -> None:
        self._began = True
        self._began_at = now
        self._reno = self.window
        self._origin = max(self._peak, self.window)
        self._k = ((self._origin - self.window) / (CUBIC_C * self.max_datagram)) ** (1 / 3)

    def _paused(self, now: float) -> None:
        """Stop the curve's clock over time in which the window was not used (RFC 9438 section 5.8)."""
        if self._began:
            self._began_at += now - self._acked_at
        self._acked_at = now

    def _reduction(self) -> int:
        window = self.window
        self._peak_before = self._peak
        # Fast convergence: a flow whose peaks fall makes room for a newer one (RFC 9438 section 4.7).
        self._peak = window * (1 + CUBIC_BETA) / 2 if window < self._peak else float(window)
        self._before_reduction = window
        self._began = False
        return int(window * CUBIC_BETA)

    def _restored(self) -> None:
        self._peak = self._peak_before
        self._began = False

    def _collapsed(self) -> None:
        self._peak_before = self._peak
        self._began = False
