"""Datagrams that TCP carried: streams put together from their segments, and the messages of WebSockets in them.

Every binary message of a WebSocket is one of our datagrams, and as much up for proof as one that UDP carried. What is
no WebSocket, or hidden by TLS, is left alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from lab.verify.frames import Place, Udp

SYN: Final = 0x02
SEQUENCES: Final = 1 << 32
HALF: Final = SEQUENCES // 2
BINARY: Final = 0x82
"""The first byte of a frame that is a whole binary message (RFC 6455 section 5.2)."""

CONTROL: Final = frozenset({0x88, 0x89, 0x8A})
"""Close, ping, pong."""

MASKED: Final = 0x80
SHORT: Final = 126
HEADS: Final = (b"GET ", b"HTTP/1.1 101 ")
HEAD_END: Final = b"\r\n\r\n"
_TCP_HEADER: Final = struct.Struct(">HHIIBBHHH")


@dataclass(slots=True)
class _Stream:
    """One direction of one connection at one point."""

    first: int | None = None
    """The sequence number of its first byte, if its beginning was recorded."""
    segments: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """By sequence number: when it was first seen (nanoseconds), and what it carries."""


class Streams:
    """All TCP of a capture."""

    def __init__(self) -> None:
        self._streams: dict[tuple[str, Place, Place], _Stream] = {}

    def add(self, point: str, at: int, source: Place, destination: Place, packet: bytes) -> None:
        """Sort in a TCP packet, its header included."""
        _, _, sequence, _, offset, flags, *_ = _TCP_HEADER.unpack_from(packet)
        stream = self._streams.setdefault((point, source, destination), _Stream())
        if flags & SYN:
            stream.first = (sequence + 1) % SEQUENCES
        data = packet[(offset >> 4) * 4 :]
        if data and len(data) > len(stream.segments.get(sequence, (0, b""))[1]):
            stream.segments[sequence] = at, data

    def messages(self) -> Iterator[Udp]:
        """Go through the binary messages of all WebSockets, as if UDP had carried them."""
        for (point, source, destination), stream in self._streams.items():
            for at, message in _messages(stream):
                yield Udp(point, at, source, destination, message)


def _messages(stream: _Stream) -> list[tuple[int, bytes]]:
    """Return the messages of a stream that is a WebSocket, with the time of their first byte."""
    if not stream.segments:
        return []
    whole = stream.first is not None
    first = stream.first if stream.first is not None else _earliest(stream)
    data, starts = _joined(stream, first)
    if whole:
        end = data.find(HEAD_END)
        return [] if end < 0 or not data.startswith(HEADS) else _cut(data, starts, end + len(HEAD_END)) or []
    # Its beginning is missing, so some segment has to begin a frame, from which everything can be followed.
    return next((found for begin, _ in starts if (found := _cut(data, starts, begin)) is not None), [])


def _earliest(stream: _Stream) -> int:
    some = next(iter(stream.segments))
    return min(stream.segments, key=lambda sequence: (sequence - some + HALF) % SEQUENCES)


def _joined(stream: _Stream, first: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Return the bytes up to the first gap, and where each segment's own bytes begin, with their time."""
    data = bytearray()
    starts: list[tuple[int, int]] = []
    for sequence in sorted(stream.segments, key=lambda one: (one - first) % SEQUENCES):
        at, piece = stream.segments[sequence]
        begin = (sequence - first) % SEQUENCES
        if begin > len(data):
            break
        if begin + len(piece) > len(data):
            starts.append((len(data), at))
            data += piece[len(data) - begin :]
    return bytes(data), starts


def _cut(data: bytes, starts: list[tuple[int, int]], begin: int) -> list[tuple[int, bytes]] | None:
    """Cut bytes into messages; None if they are no frames of ours."""
    found: list[tuple[int, bytes]] = []
    at = begin
    while at + 2 <= len(data):
        kind, length = data[at], data[at + 1]
        if kind != BINARY and kind not in CONTROL:
            return None
        mask, size, body = length & MASKED, length & ~MASKED, at + 2
        if size == SHORT:
            size, body = int.from_bytes(data[body : body + 2], "big"), body + 2
        elif size > SHORT:
            return None  # no datagram is so long
        key = data[body : body + 4] if mask else bytes(4)
        body += 4 if mask else 0
        if body + size > len(data):
            break
        if kind == BINARY:
            when = next(time for start, time in reversed(starts) if start <= at)
            found.append((when, _unmasked(data[body : body + size], key)))
        at = body + size
    return found


def _unmasked(data: bytes, key: bytes) -> bytes:
    keys = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(keys, "big")).to_bytes(len(data), "big")
