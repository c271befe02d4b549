"""Datagrams that TCP carried, taken out of captures whatever became of the segments."""

from __future__ import annotations

import random
import struct
from itertools import accumulate

import pytest

from lab.verify.websockets import BINARY, SEQUENCES, SYN, Streams

MEMBER, RELAY = ("203.0.113.2", 40_000), ("198.51.100.1", 443)
REQUEST = b"GET /0123456789abcdef0123456789abcdef HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
CHANCE = random.Random("messages")
MESSAGES = [CHANCE.randbytes(size) for size in (48, 125, 126, 1200, 1472, 0, 300)]


def packet(sequence: int, data: bytes, flags: int = 0x18) -> bytes:
    return struct.pack(">HHIIBBHHH", 40_000, 443, sequence % SEQUENCES, 0, 5 << 4, flags, 0, 0, 0) + data


def framed(message: bytes, *, masked: bool, kind: int = BINARY) -> bytes:
    size = len(message)
    length = bytes((size,)) if size < 126 else b"\x7e" + struct.pack(">H", size)
    if not masked:
        return bytes((kind,)) + length + message
    key = CHANCE.randbytes(4)
    return bytes((kind, length[0] | 0x80)) + length[1:] + key + bytes(b ^ key[i % 4] for i, b in enumerate(message))


def segments(data: bytes, first: int, sizes: int = 700) -> list[tuple[int, bytes]]:
    pieces = [data[at : at + sizes] for at in range(0, len(data), sizes)]
    return list(zip(accumulate((len(each) for each in pieces), initial=first), pieces, strict=False))


def taken(packets: list[bytes], *, up: bool = True) -> list[bytes]:
    streams = Streams()
    for at, each in enumerate(packets):
        streams.add("wan", at, *((MEMBER, RELAY) if up else (RELAY, MEMBER)), each)
    found = list(streams.messages())
    assert all(one.point == "wan" for one in found)
    return [one.payload for one in found]


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("first", [1000, SEQUENCES - 500])
def test_messages_are_found_in_order_whatever_becomes_of_the_segments(first: int, *, up: bool) -> None:
    frames = [framed(each, masked=up) for each in MESSAGES]
    data = (REQUEST if up else ANSWER) + b"".join(frames) + framed(b"\x03\xe8", masked=up, kind=0x88)
    parts = segments(data, first + 1)
    shuffled = [*parts, *parts[::2], (first + 1 + 350, data[350 : 350 + 1400])]
    random.Random(3).shuffle(shuffled)
    packets = [packet(first, b"", SYN), *(packet(*each) for each in shuffled)]
    assert taken(packets, up=up) == MESSAGES


def test_what_lies_behind_a_gap_is_not_guessed() -> None:
    frames = [framed(each, masked=True) for each in MESSAGES]
    parts = segments(REQUEST + b"".join(frames), 1001)
    found = taken([packet(1000, b"", SYN), *(packet(*each) for each in parts[:2] + parts[3:])])
    assert found == MESSAGES[: len(found)]
    assert len(found) < len(MESSAGES)


def test_a_stream_whose_beginning_is_missing_is_followed_from_where_a_segment_begins_a_frame() -> None:
    frames = [framed(each, masked=False) for each in MESSAGES]
    broken = frames[3][200:]
    pieces = [broken, *frames[4:]]
    starts = accumulate((len(each) for each in pieces), initial=5_000)
    assert taken([packet(*each) for each in zip(starts, pieces, strict=False)]) == MESSAGES[4:]


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00" + bytes(600), b"GET / HTTP/1.1\r\n\r\n" + b"<html>" * 50, b"SSH-2.0-x\r\n"]
)
def test_what_is_no_websocket_is_left_alone(data: bytes) -> None:
    assert taken([packet(1000, b"", SYN), packet(1001, data)]) == []
