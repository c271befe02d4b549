"""Leave slow start before it overflows the path: HyStart++ (RFC 9406)."""

from __future__ import annotations

from typing import Final

MIN_RTT_THRESHOLD: Final = 0.004
"""A round trip longer by less than this is noise (RFC 9406 section 4.3, MIN_RTT_THRESH)."""

MAX_RTT_THRESHOLD: Final = 0.016
"""A round trip longer by this is a queue (RFC 9406 section 4.3, MAX_RTT_THRESH)."""

RTT_DIVISOR: Final = 8
"""Between the two, this part of the round trip decides (RFC 9406 section 4.3, MIN_RTT_DIVISOR)."""

SAMPLES: Final = 8
"""How many samples a round needs before its minimum counts (RFC 9406 section 4.3, N_RTT_SAMPLE)."""

CONSERVATIVE_DIVISOR: Final = 4
"""How much slower conservative slow start grows (RFC 9406 section 4.3, CSS_GROWTH_DIVISOR)."""

CONSERVATIVE_ROUNDS: Final = 5
"""How many rounds conservative slow start lasts (RFC 9406 section 4.3, CSS_ROUNDS)."""

_NO_SAMPLE: Final = float("inf")


class HyStart:
    """Slow start, then conservative slow start once round trips lengthen, then the end of it.

    Rounds are told apart by time: one ends when a packet sent after its beginning is acknowledged. The
    sender paces, so the growth by one ACK has no limit (RFC 9406 section 4.3, L = infinity).
    """

    __slots__ = ("_baseline", "_conservative_rounds", "_last_minimum", "_minimum", "_round_began", "_samples")

    def __init__(self) -> None:
        self._round_began: float | None = None
        self._last_minimum = _NO_SAMPLE
        self._minimum = _NO_SAMPLE
        self._samples = 0
        self._baseline: float | None = None  # the round's minimum that began conservative slow start
        self._conservative_rounds = 0

    @property
    def finished(self) -> bool:
        """Tell whether congestion avoidance should begin."""
        return self._conservative_rounds >= CONSERVATIVE_ROUNDS

    def growth(self, size: int, sent_at: float, latest: float, *, now: float) -> float:
        """Return how much the window grows for ``size`` bytes acknowledged, sent at ``sent_at``."""
        if self._round_began is None or sent_at >= self._round_began:
            self._begin_round(now)
        self._samples += 1
        self._minimum = min(self._minimum, latest)
        if self._samples >= SAMPLES:
            self._judge()
        return size if self._baseline is None else size / CONSERVATIVE_DIVISOR

    def _begin_round(self, now: float) -> None:
        if self._baseline is not None:
            self._conservative_rounds += 1
        self._round_began = now
        self._last_minimum = self._minimum
        self._minimum = _NO_SAMPLE
        self._samples = 0

    def _judge(self) -> None:
        if self._baseline is not None:
            if self._minimum < self._baseline:  # it was jitter, not a queue
                self._baseline = None
                self._conservative_rounds = 0
        elif self._last_minimum != _NO_SAMPLE:
            threshold = min(max(MIN_RTT_THRESHOLD, self._last_minimum / RTT_DIVISOR), MAX_RTT_THRESHOLD)
            if self._minimum >= self._last_minimum + threshold:
                self._baseline = self._minimum
