"""Datagram packetization layer path MTU discovery (RFC 8899): find the largest datagram a path carries."""

from __future__ import annotations

from clawchat.values.address import Path
from clawchat.values.limits import (
    BASE_DATAGRAM,
    BLACK_HOLE_PAUSE,
    MAX_DATAGRAM,
    MAX_DATAGRAM_IPV6,
    MTU_BLACK_HOLE_LOSSES,
    MTU_PROBE_TIMEOUT,
    MTU_PROBE_TRIES,
    MTU_PROBES,
    MTU_RAISE_INTERVAL,
    MTU_WAIT,
    RELAYED_BASE_DATAGRAM,
    RELAYED_MAX_DATAGRAM,
)
from clawchat.values.timers import NEVER


class MtuProber:
    """Decide which size to probe next, the largest first: most paths are Ethernet.

    ``size`` is the datagram size in use, in bytes. From ``probe_at`` on the owner sends a probe of
    ``candidate`` bytes and reports it with ``on_sent``, then with ``on_acked``, or with ``on_timeout`` when
    ``deadline`` passed. `hurry` makes the first probe on a path come at once. ``vanished`` counts the losses of
    datagrams above ``base`` since one arrived.
    """

    __slots__ = ("_limit", "_patient", "_sizes", "_tries", "base", "deadline", "probe_at", "size", "vanished")

    def __init__(self, base: int, limit: int, start: float = 0.0) -> None:
        self.restart(base, limit, start)

    def restart(self, base: int, limit: int, start: float = 0.0) -> None:
        """Begin anew, at ``start``, on another path that surely carries ``base`` bytes and at most ``limit``."""
        self.size = self.base = base
        self._limit = limit
        self._search(start)
        self.deadline = self.probe_at
        self._patient = bool(self._sizes)  # until the first probe

    def _search(self, start: float) -> None:
        self._tries = self.vanished = 0
        self._sizes = [size for size in MTU_PROBES if self.size < size <= self._limit]
        self.probe_at = start if self._sizes else NEVER

    def hurry(self, *, now: float) -> None:
        """Begin to search now, if no more than time was waited for: there is something to send that needs the room."""
        if self._patient:
            self.probe_at = now

    @property
    def candidate(self) -> int:
        """The size to probe, in bytes; there is one whenever ``probe_at`` comes."""
        return self._sizes[-1]

    def on_sent(self, *, timeout: float, now: float) -> None:
        """Note that a probe is under way, which is lost if it is not acknowledged in ``timeout`` seconds."""
        self._patient = False
        self.probe_at = NEVER
        self.deadline = now + max(timeout, MTU_PROBE_TIMEOUT)

    def on_acked(self, size: int, *, now: float) -> None:
        """Use a size that was seen to pass, and try the larger ones that failed before when their time comes."""
        self.deadline = NEVER
        self.size = max(self.size, size)
        self._search(now + MTU_RAISE_INTERVAL)

    def on_timeout(self, *, now: float) -> None:
        """Note that it is time to search, or that a probe got no answer; after a few, take its size not to fit."""
        self.deadline = NEVER
        if self._patient:
            return
        self.probe_at = now
        self._tries += 1
        if self._tries >= MTU_PROBE_TRIES:
            self._tries = 0
            self._sizes.pop()
            if not self._sizes:
                self._search(now + MTU_RAISE_INTERVAL)

    def on_vanished(self, *, now: float) -> bool:
        """Note that larger datagrams were lost and none arrived; tell whether that led back to the base size."""
        self.vanished += 1
        if self.vanished < MTU_BLACK_HOLE_LOSSES:
            return False
        self.fall_back(now=now)
        return True

    def fall_back(self, *, now: float) -> None:
        """Return to the base size: what used to pass seems to pass no longer (RFC 8899 section 4.4)."""
        self.size = self.base
        self.deadline = NEVER
        self._search(now + BLACK_HOLE_PAUSE)


def datagram_sizes(path: Path, *, now: float) -> tuple[int, int, float]:
    """Return the datagram size a path surely carries, the largest worth trying, and from when on.

    Many a path is left in a moment, and most sessions say little at first.
    """
    if path.relayed:
        return RELAYED_BASE_DATAGRAM, RELAYED_MAX_DATAGRAM, now + MTU_WAIT
    if path.tunnelled:
        return MAX_DATAGRAM, MAX_DATAGRAM, now  # TCP cuts a message as it likes; there is nothing to be probed
    return BASE_DATAGRAM, MAX_DATAGRAM_IPV6 if path.remote.is_ipv6 else MAX_DATAGRAM, now + MTU_WAIT
