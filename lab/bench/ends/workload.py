"""One application protocol for every peer, so that all of them move the same bytes for the same purpose.

A conversation is an ordered stream of bytes each way, opened by the client with one byte:

    E   echo: everything that follows comes back as it is
    S   sink: zero bytes follow, ended by one END byte; the server answers CREDIT for every whole MiB, DONE at the end

The client of a sink keeps at most WINDOW bytes without credit, because some peers queue without limit.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from lab.bench.figures import percentile

ECHO: Final = b"E"
SINK: Final = b"S"
END: Final = b"\xff"
CREDIT: Final = b"."
DONE: Final = b"!"

MESSAGE: Final = bytes(range(64))
"""The 64-byte message of the round-trip measurement."""

CREDIT_SIZE: Final = 1 << 20
BLOCK_SIZE: Final = 1 << 18
"""Bytes given to a peer in one write: large enough that no peer is measured by its calls."""

WINDOW: Final = 8 << 20
"""Bytes a client may be ahead of the server's credit; well above what any peer keeps in flight on a veth cable."""

WARM_UP: Final = 100
"""Round trips left out of the figures, while caches and congestion windows fill."""


class Pipe(Protocol):
    """The client's end of one conversation."""

    async def send(self, data: bytes) -> None:
        """Hand bytes to the peer, waiting while it pushes back."""

    async def receive(self) -> bytes:
        """Wait for some bytes; raise ConnectionError when none can come any more."""

    async def close(self) -> None:
        """Give everything back that this conversation holds."""


class Answer:
    """The server's side of one conversation, without input or output of its own."""

    __slots__ = ("_mode", "_received")

    def __init__(self) -> None:
        self._mode = b""
        self._received = 0

    def feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Take the next bytes of the client and return what to answer."""
        if not self._mode:
            self._mode, data = bytes(data[:1]), data[1:]
            if self._mode not in (ECHO, SINK):
                raise ValueError(f"unknown conversation {self._mode!r}")
        if self._mode == ECHO or not data:
            return data
        before = self._received // CREDIT_SIZE
        self._received += len(data)
        credit = CREDIT * (self._received // CREDIT_SIZE - before)
        return credit + DONE if data[-1] == END[0] else credit


async def _exchange(pipe: Pipe, message: bytes) -> None:
    await pipe.send(message)
    missing = len(MESSAGE)
    while missing > 0:
        missing -= len(await pipe.receive())


async def measure_setup(
    connect: Callable[[], Awaitable[Pipe]], count: int, *, opening: bytes = ECHO
) -> dict[str, float]:
    """Return the median time, in ms, from wanting a conversation to having the first 64 bytes echoed by it."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        pipe = await connect()
        await _exchange(pipe, opening + MESSAGE)
        taken.append(time.perf_counter() - begun)
        await pipe.close()
    return {"setup_ms": percentile(taken, 50) * 1e3}


async def measure_echo(pipe: Pipe, count: int, *, opening: bytes = ECHO) -> dict[str, float]:
    """Return the 50th and 99th percentile, in µs, of `count` round trips made one after the other."""
    await _exchange(pipe, opening + MESSAGE)
    taken = []
    for _ in range(count + WARM_UP):
        begun = time.perf_counter()
        await _exchange(pipe, MESSAGE)
        taken.append(time.perf_counter() - begun)
    kept = taken[WARM_UP:]
    return {"rtt_p50_us": percentile(kept, 50) * 1e6, "rtt_p99_us": percentile(kept, 99) * 1e6}


async def measure_bulk(pipe: Pipe, seconds: float) -> dict[str, float]:
    """Send for so many seconds and return the bytes the server confirmed and the seconds until it did."""
    block = bytes(BLOCK_SIZE)
    sent = credit = 0
    begun = time.perf_counter()
    await pipe.send(SINK)
    while time.perf_counter() - begun < seconds:
        await pipe.send(block)
        sent += BLOCK_SIZE
        while sent - credit > WINDOW:
            credit += CREDIT_SIZE * len(await pipe.receive())
    await pipe.send(END)
    while not (await pipe.receive()).endswith(DONE):
        pass
    return {"bytes": sent + len(END), "seconds": time.perf_counter() - begun}
