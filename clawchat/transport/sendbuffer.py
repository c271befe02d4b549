"""The bytes of a stream from when they are written until they are acknowledged."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

BIG_WRITE: Final = 16_384
"""A write this large keeps its own buffer; smaller ones are joined, once, when they are first sent."""


class SendBuffer:
    """Written bytes by their stream offset, kept by reference as they were written.

    ``end`` is the offset after the last byte written. A view of bytes that lie in one write costs a
    slice; one across writes a copy.
    """

    __slots__ = ("_chunks", "_current", "_current_start", "_current_stop", "_packed", "_starts", "_tail", "end")

    def __init__(self) -> None:
        self.end = 0
        self._starts: list[int] = []
        self._chunks: list[bytes] = []
        self._packed = 0  # chunks end here; what lies beyond is in the tail
        self._tail: list[bytes] = []
        self._forget_current()

    def append(self, data: bytes) -> None:
        """Add bytes at the end."""
        if len(data) >= BIG_WRITE:
            if self._tail:
                self._pack()
            self._starts.append(self._packed)
            self._chunks.append(data)
            self._packed += len(data)
        elif data:
            self._tail.append(data)
        self.end += len(data)

    def view(self, offset: int, length: int) -> memoryview:
        """Return the bytes at ``offset``, which must be written and not yet released."""
        start = self._current_start
        if start <= offset and offset + length <= self._current_stop:
            return self._current[offset - start : offset - start + length]
        return self._find(offset, offset + length)

    def release(self, offset: int) -> None:
        """Drop the writes that end at or below ``offset``."""
        starts, chunks = self._starts, self._chunks
        count = 0
        for start, chunk in zip(starts, chunks, strict=True):
            if start + len(chunk) > offset:
                break
            count += 1
        if count:
            del starts[:count], chunks[:count]
            if self._current_stop <= offset:
                self._forget_current()

    def _forget_current(self) -> None:
        self._current = memoryview(b"")
        self._current_start = self._current_stop = -1

    def _pack(self) -> None:
        chunk = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
        self._tail.clear()
        self._starts.append(self._packed)
        self._chunks.append(chunk)
        self._packed += len(chunk)

    def _find(self, start: int, stop: int) -> memoryview:
        if start == stop:
            return memoryview(b"")
        if stop > self._packed and self._tail:
            self._pack()
        index = bisect_right(self._starts, start) - 1
        chunk_start, chunk = self._starts[index], self._chunks[index]
        view = memoryview(chunk)[start - chunk_start : stop - chunk_start]
        if chunk_start + len(chunk) >= stop:
            self._current = memoryview(chunk)
            self._current_start, self._current_stop = chunk_start, chunk_start + len(chunk)
            return view
        parts: list[bytes | memoryview] = [view]
        missing = stop - start - len(view)
        while missing > 0:
            index += 1
            view = memoryview(self._chunks[index])[:missing]
            parts.append(view)
            missing -= len(view)
        return memoryview(b"".join(parts))
