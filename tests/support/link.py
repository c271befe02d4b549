"""One direction of a simulated network, in virtual time: what it loses, delays, doubles and disorders."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from clawchat.values.limits import MAX_BATCH_BYTES, MAX_SEGMENTS

ETHERNET = 1472
"""What a UDP datagram over IPv4 may carry on an Ethernet link."""


@dataclass
class Link:
    """What becomes of the datagrams that one end sends.

    ``delay`` seconds and up to ``jitter`` more, drawn for each datagram, so that jitter reorders. ``loss`` and
    ``duplicate`` are probabilities. Datagrams longer than ``mtu`` vanish. ``lose_next`` counts datagrams that are
    lost for certain. The receiver wakes every ``grain`` seconds; what arrived meanwhile comes to it in batches, as
    the kernel would coalesce them, or one by one without ``coalesce``.
    """

    delay: float = 0.02
    jitter: float = 0.0
    loss: float = 0.0
    duplicate: float = 0.0
    mtu: int = ETHERNET
    up: bool = True
    lose_next: int = 0
    grain: float = 0.0
    coalesce: bool = True

    def arrivals(self, size: int, *, now: float, chance: random.Random) -> tuple[float, ...]:
        """Return when copies of a datagram arrive: at no time, once, or twice."""
        if self.lose_next:
            self.lose_next -= 1
            return ()
        lost = chance.random() < self.loss
        copies = 2 if chance.random() < self.duplicate else 1
        if lost or not self.up or size > self.mtu:
            return ()
        return tuple(now + self.delay + self.jitter * chance.random() for _ in range(copies))

    def wake(self, arrival: float) -> float:
        """Return when the receiver looks at what arrived."""
        return -(-arrival // self.grain) * self.grain if self.grain else arrival


def batches(datagrams: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """Join datagrams as UDP_GRO does: all of one size, but that the last may be shorter."""
    start = 0
    while start < len(datagrams):
        size = len(datagrams[start])
        stop, total = start + 1, size
        while stop < len(datagrams) and stop - start < MAX_SEGMENTS:
            following = len(datagrams[stop])
            if following > size or total + following > MAX_BATCH_BYTES:
                break
            stop += 1
            total += following
            if following < size:
                break
        yield b"".join(datagrams[start:stop]), size
        start = stop
