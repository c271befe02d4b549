"""The bytes that transfers move: unpredictable enough to be worth a hash, cheap enough to keep up with the network."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator
from typing import Final

BLOCK: Final = 1 << 20
MIB: Final = 1 << 20


def blocks(size: int) -> Iterator[bytes]:
    """Yield ``size`` bytes in blocks no two of which are alike."""
    base = random.Random(size).randbytes(BLOCK)
    for number in range(0, size, BLOCK):
        yield (number.to_bytes(8, "big") + base[8:])[: size - number]


def expected(size: int) -> str:
    """Return the hash of what ``blocks`` yields."""
    digest = hashlib.sha256()
    for block in blocks(size):
        digest.update(block)
    return digest.hexdigest()


class Intake:
    """What arrived: how much, its hash, and the longest wait for the next piece."""

    def __init__(self) -> None:
        self.size = 0
        self.pause = 0.0
        self.resumed_at = 0.0
        self._digest = hashlib.sha256()
        self._last = time.monotonic()

    def take(self, data: bytes) -> None:
        now = time.monotonic()
        if now - self._last > self.pause:
            self.pause, self.resumed_at = now - self._last, now
        self._last = now
        self.size += len(data)
        self._digest.update(data)

    def facts(self) -> dict[str, float | str]:
        return {
            "size": self.size,
            "sha256": self._digest.hexdigest(),
            "pause": self.pause,
            "resumed_at": self.resumed_at,
        }
