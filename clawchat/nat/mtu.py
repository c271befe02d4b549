"""Datagram packetization layer path MTU discovery (RFC 8899): find the largest datagram a path carries."""

from __future__ import annotations

from clawchat.values.limits import BASE_DATAGRAM, BLACK_HOLE_PAUSE, MTU_PROBE_TRIES, MTU_PROBES, MTU_RAISE_INTERVAL


class MtuProber:
    """Decide which size to probe next, the largest first: most paths are Ethernet.

    ``size`` is the datagram size in use, in bytes. The owner sends a probe of ``wanted()`` bytes, reports
    its end with ``on_acked`` or ``on_lost``, and asks again after ``retry_at``.
    """

    __slots__ = ("_limit", "_sizes", "_tries", "probing", "retry_at", "size")

    def __init__(self, limit: int) -> None:
        self.restart(limit)

    def restart(self, limit: int) -> None:
        """Begin anew on another path that carries at most ``limit`` bytes."""
        self.size = BASE_DATAGRAM
        self.probing = 0
        self.retry_at = 0.0
        self._tries = 0
        self._limit = limit
        self._sizes = [size for size in MTU_PROBES if size <= limit]

    def wanted(self, *, now: float) -> int:
        """Return the size to probe now, 0 if there is nothing to probe."""
        return self._sizes[-1] if self._searching and not self.probing and now >= self.retry_at else 0

    @property
    def _searching(self) -> bool:
        return bool(self._sizes) and self._sizes[-1] > self.size

    def on_sent(self, size: int) -> None:
        """Note that a probe of a size is under way."""
        self.probing = size

    def on_acked(self, size: int) -> None:
        """Use a size that was seen to pass."""
        self.probing = 0
        self._tries = 0
        self.size = max(self.size, size)

    def on_lost(self, *, now: float) -> None:
        """Note that a probe got no answer; after a few, take its size not to fit."""
        self.probing = 0
        self._tries += 1
        if self._tries >= MTU_PROBE_TRIES and self._sizes:
            self._tries = 0
            self._sizes.pop()
            if not self._searching:
                self._sizes = [size for size in MTU_PROBES if size <= self._limit]
                self.retry_at = now + MTU_RAISE_INTERVAL

    def fall_back(self, *, now: float) -> None:
        """Return to the base size: what used to pass seems to pass no longer (RFC 8899 section 4.4)."""
        self.size = BASE_DATAGRAM
        self.probing = 0
        self.retry_at = now + BLACK_HOLE_PAUSE
