"""Datagram packetization layer path MTU discovery (RFC 8899): find the largest datagram a path carries."""

from __future__ import annotations

from clawchat.values.limits import (
    BASE_DATAGRAM,
    BLACK_HOLE_PAUSE,
    MTU_PROBE_TIMEOUT,
    MTU_PROBE_TRIES,
    MTU_PROBES,
    MTU_RAISE_INTERVAL,
)
from clawchat.values.timers import NEVER


class MtuProber:
    """Decide which size to probe next, the largest first: most paths are Ethernet.

    ``size`` is the datagram size in use, in bytes. The owner sends a probe of ``wanted()`` bytes, reports
    it with ``on_acked``, or with ``on_lost`` when ``deadline`` passed, and asks again.
    """

    __slots__ = ("_limit", "_retry_at", "_sizes", "_tries", "deadline", "size")

    def __init__(self, limit: int) -> None:
        self.restart(limit)

    def restart(self, limit: int) -> None:
        """Begin anew on another path that carries at most ``limit`` bytes."""
        self.size = BASE_DATAGRAM
        self.deadline = NEVER
        self._retry_at = 0.0
        self._tries = 0
        self._limit = limit
        self._sizes = [size for size in MTU_PROBES if size <= limit]

    def wanted(self, *, now: float) -> int:
        """Return the size to probe now, 0 if there is nothing to probe."""
        return self._sizes[-1] if self._searching and self.deadline == NEVER and now >= self._retry_at else 0

    @property
    def _searching(self) -> bool:
        return bool(self._sizes) and self._sizes[-1] > self.size

    def on_sent(self, *, timeout: float, now: float) -> None:
        """Note that a probe is under way, which is lost if it is not acknowledged in ``timeout`` seconds."""
        self.deadline = now + max(timeout, MTU_PROBE_TIMEOUT)

    def on_acked(self, size: int) -> None:
        """Use a size that was seen to pass."""
        self.deadline = NEVER
        self._tries = 0
        self.size = max(self.size, size)

    def on_lost(self, *, now: float) -> None:
        """Note that a probe got no answer; after a few, take its size not to fit."""
        self.deadline = NEVER
        self._tries += 1
        if self._tries >= MTU_PROBE_TRIES and self._sizes:
            self._tries = 0
            self._sizes.pop()
            if not self._searching:
                self._sizes = [size for size in MTU_PROBES if size <= self._limit]
                self._retry_at = now + MTU_RAISE_INTERVAL

    def fall_back(self, *, now: float) -> None:
        """Return to the base size: what used to pass seems to pass no longer (RFC 8899 section 4.4)."""
        self.size = BASE_DATAGRAM
        self.deadline = NEVER
        self._retry_at = now + BLACK_HOLE_PAUSE
