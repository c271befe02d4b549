"""Stream bytes that arrived before those in front of them."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

from clawchat.values.errors import ProtocolViolation
from clawchat.wire.frames import CloseCode

MAX_GAPS: Final = 4096
"""How many gaps one stream may have: a window of 8 MiB with every other packet lost has 3,500."""

MAX_PIECES: Final = 2 * MAX_GAPS
"""Beyond this many pieces neighbours are joined, so that tiny pieces can't fill memory."""

SMALL_PIECE: Final = 16_384
"""A piece below this is appended to the one before it when they touch; larger ones are never copied."""

JOINED_PIECE: Final = 65_536
"""Joining by appending stops at this size, so that delivering a piece stays cheap."""


class Reassembly:
    """Pieces of a stream by their offset; they never overlap, and the first to bring a byte wins."""

    __slots__ = ("_pieces", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[bytes | bytearray] = []

    def insert(self, start: int, data: bytes) -> None:
        """Keep those bytes of ``data`` that are not held yet.

        Raises ProtocolViolation when there are more than MAX_GAPS gaps.
        """
        stop = start + len(data)
        at = start
        index = bisect_right(self._starts, start)
        if index:
            at = max(at, self._starts[index - 1] + len(self._pieces[index - 1]))
        while at < stop:
            if index == len(self._starts) or self._starts[index] >= stop:
                self._place(index, at, data[at - start :])
                break
            held = self._starts[index]
            if at < held:
                index += self._place(index, at, data[at - start : held - start])
            at = held + len(self._pieces[index])
            index += 1
        if len(self._starts) > MAX_PIECES:
            self._join_neighbours()

    def take(self, offset: int) -> list[bytes]:
        """Remove and return the bytes that run on from ``offset``; drop any below it."""
        taken: list[bytes] = []
        count = 0
        for start, piece in zip(self._starts, self._pieces, strict=True):
            if start > offset:
                break
            count += 1
            stop = start + len(piece)
            if stop > offset:
                taken.append(bytes(piece) if start == offset else bytes(piece[offset - start :]))
                offset = stop
        del self._starts[:count], self._pieces[:count]
        return taken

    def clear(self) -> None:
        """Drop everything."""
        self._starts.clear()
        self._pieces.clear()

    def __len__(self) -> int:
        """Count the pieces."""
        return len(self._starts)

    def _place(self, index: int, start: int, data: bytes) -> int:
        """Put bytes that touch no held byte before piece ``index``; return how many pieces that added."""
        small = len(data) < SMALL_PIECE
        if small and index:
            before = self._pieces[index - 1]
            if (
                type(before) is bytearray
                and len(before) < JOINED_PIECE
                and self._starts[index - 1] + len(before) == start
            ):
                before += data
                return 0
        self._starts.insert(index, start)
        self._pieces.insert(index, bytearray(data) if small else data)
        return 1

    def _join_neighbours(self) -> None:
        starts: list[int] = []
        groups: list[list[bytes | bytearray]] = []
        stop = -1
        for start, piece in zip(self._starts, self._pieces, strict=True):
            if start == stop:
                groups[-1].append(piece)
            else:
                starts.append(start)
                groups.append([piece])
            stop = start + len(piece)
        if len(starts) > MAX_GAPS:
            raise ProtocolViolation(CloseCode.TOO_MUCH, f"more than {MAX_GAPS} gaps in a stream")
        self._starts = starts
        self._pieces = [group[0] if len(group) == 1 else b"".join(group) for group in groups]
