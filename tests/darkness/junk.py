"""Datagrams that must earn nothing: noise, what scanners send, and what somebody makes of real traffic he overheard."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from clawchat.values.limits import MAX_DATAGRAM
from tests.darkness.scanners import PAYLOADS

BIGGER: Final = (1473, 1500, 2000, 4096, 9000, 20_000, 65_507)
ROUND: Final = 1600
"""Datagrams of each kind before the next kind's turn: random ones of every size from 0 to 1500, and some more."""

BATCH_BYTES: Final = 60_000


class Overheard(NamedTuple):
    """Real datagrams to the server, HELLOs and packets of a session that goes on: what it read, and what got lost."""

    seen: Sequence[bytes]
    lost: Sequence[bytes]
    """As they are, these would be new to the server."""


def flips(datagram: bytes) -> Iterator[bytes]:
    """Yield every datagram that differs in one bit."""
    whole = bytearray(datagram)
    for at in range(len(whole)):
        for bit in range(8):
            whole[at] ^= 1 << bit
            yield bytes(whole)
            whole[at] ^= 1 << bit


def batches(datagrams: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Gather datagrams of one size into what one send takes."""
    batch: list[bytes] = []
    for datagram in datagrams:
        if batch and (len(batch) == 64 or (len(batch) + 1) * len(datagram) > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(datagram)
    if batch:
        yield batch


class Junk:
    """Junk without end, in rounds of every kind; ``counts`` tells what there was."""

    def __init__(self, overheard: Overheard, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._overheard = overheard
        self._chance = random.Random(seed)
        self._noise = self._chance.randbytes(1 << 20)

    def rounds(self) -> Iterator[bytes]:
        kinds = {"random": self._random(), "mutated": self._mutated(), "replayed": self._replayed()}
        while True:
            for name, source in kinds.items():
                self.counts[name] += ROUND
                for _ in range(ROUND):
                    yield next(source)
            for payload in PAYLOADS.values():
                # As scanners send it, and filled up to lengths that are looked at.
                for size in (0, 48, 256, 1200):
                    self.counts["scanner"] += 1
                    yield payload.ljust(size, b"\0")

    def _bytes(self, size: int) -> bytes:
        start = self._chance.randrange(len(self._noise) - size)
        return self._noise[start : start + size]

    def _random(self) -> Iterator[bytes]:
        while True:
            for size in (*range(1501), *BIGGER):
                yield self._bytes(size)

    def _replayed(self) -> Iterator[bytes]:
        while True:
            yield self._chance.choice(self._overheard.seen)

    def _mutated(self) -> Iterator[bytes]:
        """Yield real datagrams with bytes changed, cut off, added, or with another one's end."""
        chance, (seen, lost) = self._chance, self._overheard
        while True:
            datagram, other = chance.choice(chance.choice((seen, lost))), chance.choice(seen)
            at = chance.randrange(1, len(datagram))
            match chance.randrange(4):
                case 0:
                    changed = bytearray(datagram)
                    changed[at] ^= chance.randrange(1, 256)
                    yield bytes(changed)
                case 1:
                    yield datagram[:at]
                case 2:
                    yield datagram + self._bytes(1 + chance.randrange(MAX_DATAGRAM))
                case _:
                    yield datagram[:at] + other[at:]
