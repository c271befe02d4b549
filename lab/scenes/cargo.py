"""The bytes that a scene moves: no two blocks alike, cheap to make, and worth a hash."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

BLOCK: Final = 64 << 10
MIB: Final = 1 << 20

NOTED: Final = 0.05
"""Waits for the next piece that are shorter than this, seconds, are not written down."""


def blocks() -> Iterator[bytes]:
    """Yield blocks without end, always the same ones."""
    base = random.Random("cargo").randbytes(BLOCK)
    number = 0
    while True:
        yield number.to_bytes(8, "big") + base[8:]
        number += 1


def expected(size: int) -> str:
    """Return the hash of the first ``size`` bytes."""
    digest = hashlib.sha256()
    for number, block in enumerate(blocks()):
        left = size - number * BLOCK
        if left <= 0:
            break
        digest.update(block[:left])
    return digest.hexdigest()


class Wait(NamedTuple):
    """A time in which nothing arrived; both in monotonic seconds."""

    since: float
    until: float

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return self.until - self.since


class Intake:
    """What has arrived: how much, its hash, and the waits in between."""

    def __init__(self) -> None:
        self.size = 0
        self.waits: list[Wait] = []
        self._digest = hashlib.sha256()
        self._last = time.monotonic()

    def take(self, data: bytes) -> None:
        """Take in what arrived just now."""
        now = time.monotonic()
        if now - self._last > NOTED:
            self.waits.append(Wait(self._last, now))
        self._last = now
        self.size += len(data)
        self._digest.update(data)

    def facts(self) -> dict[str, object]:
        """Return it as plain values."""
        return {"size": self.size, "sha256": self._digest.hexdigest(), "waits": self.waits}


class Pace:
    """How fast a sender sends: ``rate`` bytes a second on the average, and not much at once when it was held up."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()

    def pause(self, size: int) -> float:
        """Return how long to wait before so many bytes are sent."""
        now = time.monotonic()
        self._next = max(self._next, now - 2 * size / self._rate) + size / self._rate
        return max(0.0, self._next - now)
