"""Standard input and output for an event loop that must not wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import threading
from collections.abc import AsyncIterator, Callable
from typing import Final

from clawchat.services.chat_fields import MAX_TEXT_BYTES

CHUNK_BYTES: Final = 1 << 16

WAITING_LINES: Final = 10_000
"""A reader of our output may be this many lines behind before we wait for it."""


async def read_lines(descriptor: int) -> AsyncIterator[str]:
    """Go through the lines of a file, a pipe or a terminal, without their ends; a very long one comes in parts.

    A thread reads, since not every kind of input can be watched by the loop. It is given no more than it is
    asked for, and never keeps the program from ending.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes] = asyncio.Queue()
    wanted = threading.Semaphore()

    def pump() -> None:
        data = b"."
        while data and wanted.acquire():
            try:
                data = os.read(descriptor, CHUNK_BYTES)
            except OSError:
                data = b""
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(chunks.put_nowait, data)

    threading.Thread(target=pump, name="standard input", daemon=True).start()
    rest = b""
    while chunk := await chunks.get():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            for part in _parts(line.removesuffix(b"\r")):
                yield part
        if len(rest) > MAX_TEXT_BYTES:
            *whole, last = _parts(rest)
            for part in whole:
                yield part
            rest = last.encode()
        wanted.release()
    for part in _parts(rest):
        yield part


def _parts(line: bytes) -> list[str]:
    """Cut a line into texts that can be said, never within a character."""
    text = line.decode(errors="replace")
    parts: list[str] = []
    while len(text.encode()) > MAX_TEXT_BYTES:
        head = text.encode()[:MAX_TEXT_BYTES].decode(errors="ignore")
        parts.append(head)
        text = text[len(head) :]
    return [*parts, text] if text else parts


class Output:
    """Lines to a descriptor, written by a thread so that a slow reader does not stop the network.

    ``on_broken`` is called, on that thread, when nobody reads any more.
    """

    def __init__(self, descriptor: int, on_broken: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_broken = on_broken
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING_LINES)
        self._thread = threading.Thread(target=self._write, name="standard output", daemon=True)
        self._thread.start()

    def line(self, text: str) -> None:
        """Write a line soon."""
        self._lines.put(text)

    def close(self) -> None:
        """Wait until everything is written."""
        self._lines.put(None)
        self._thread.join()

    def _write(self) -> None:
        broken = False
        while (text := self._lines.get()) is not None:
            if broken:
                continue
            try:
                _write_all(self._descriptor, text.encode(errors="replace") + b"\n")
            except OSError:
                broken = True
                self._on_broken()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # whoever made the pipe made it so
            select.select([], [descriptor], [])
