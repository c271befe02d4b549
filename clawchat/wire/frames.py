"""Frames: what a packet says, encoded and decoded in pairs. All numbers are big-endian.

    PADDING          00 00 …                                              the rest of the packet, zero
    PING             01
    ACK              02 | count u8 | delay u16 | first u32 | largest u64 | count * (gap u32 | length u32)
    STREAM           03 | flags u8 | length u16 | stream u32 | offset u64 | data
    RESET            04 | 0 u8     | code u16   | stream u32 | final u64
    STOP             05 | 0 u8     | code u16   | stream u32
    MAX_DATA         06 | limit u64
    MAX_STREAM_DATA  07 | stream u32 | limit u64
    MAX_STREAMS      08 | limit u32
    DATAGRAM         09 | length u16 | data
    CLOSE            0A | code u16 | length u16 | reason (UTF-8)
    PATH_CHALLENGE   0B | token 8
    PATH_RESPONSE    0C | token 8 | observed address
    CANDIDATES       0D | generation u32 | count u8 | addresses

ACK: ``first`` is how many numbers below ``largest`` are acknowledged with it; each further range leaves
out ``gap`` numbers below the previous one and then acknowledges ``length``. An unknown type is a
violation that closes the session: both ends speak one version, there is nothing to guess.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from clawchat.values.address import Address, decode_address, encode_address
from clawchat.values.errors import BadDatagram, ProtocolViolation
from clawchat.values.limits import BLOCK, MAX_ACK_RANGES, MAX_DATAGRAM, MAX_OBSERVED_CANDIDATES, MAX_PACKET_NUMBER


class FrameType(IntEnum):
    """The first byte of a frame."""

    PADDING = 0x00
    PING = 0x01
    ACK = 0x02
    STREAM = 0x03
    RESET = 0x04
    STOP = 0x05
    MAX_DATA = 0x06
    MAX_STREAM_DATA = 0x07
    MAX_STREAMS = 0x08
    DATAGRAM = 0x09
    CLOSE = 0x0A
    PATH_CHALLENGE = 0x0B
    PATH_RESPONSE = 0x0C
    CANDIDATES = 0x0D


class CloseCode(IntEnum):
    """Why a session was closed, in the code of CLOSE; a program's own codes start at 256."""

    NONE = 0
    MALFORMED = 1
    UNKNOWN_FRAME = 2
    FLOW_CONTROL = 3
    FINAL_SIZE = 4
    STREAM_STATE = 5
    ACK_UNSENT = 6
    TOO_MUCH = 7
    SHUTDOWN = 8
    REPLACED = 9
    INTERNAL = 10
    APPLICATION = 256


FIN: Final = 1
STREAM_HEADER: Final = 16
CHALLENGE_BYTES: Final = 8
MAX_REASON: Final = 256

_ACK = struct.Struct(">BBHIQ")
_RANGE = struct.Struct(">II")
_STREAM = struct.Struct(">BBHIQ")
_RESET = struct.Struct(">BxHIQ")
_STOP = struct.Struct(">BxHI")
_MAX_DATA = struct.Struct(">BQ")
_MAX_STREAM_DATA = struct.Struct(">BIQ")
_MAX_STREAMS = struct.Struct(">BI")
_DATAGRAM = struct.Struct(">BH")
_CLOSE = struct.Struct(">BHH")
_CANDIDATES = struct.Struct(">BIB")

DATAGRAM_HEADER: Final = _DATAGRAM.size
PING_FRAME: Final = bytes((FrameType.PING,))
_ZEROS: Final = bytes(MAX_DATAGRAM)


class Padding(NamedTuple):
    """``size`` zero bytes up to the end of the packet."""

    size: int


class Ping(NamedTuple):
    """Ask for an acknowledgement."""


class Ack(NamedTuple):
    """Acknowledge ranges of packet numbers, both ends included, the highest range first.

    ``delay`` is how long the acknowledgement was held back, in units of ACK_DELAY_UNIT.
    """

    ranges: tuple[tuple[int, int], ...]
    delay: int


class Stream(NamedTuple):
    """Bytes of a stream at an offset; ``fin`` says that the stream ends with them."""

    stream: int
    offset: int
    fin: bool
    data: bytes


class Reset(NamedTuple):
    """The sender gives up a stream that ``final`` bytes were sent on."""

    stream: int
    code: int
    final: int


class Stop(NamedTuple):
    """The receiver no longer wants a stream."""

    stream: int
    code: int


class MaxData(NamedTuple):
    """All streams together may reach this many bytes."""

    limit: int


class MaxStreamData(NamedTuple):
    """A stream may reach this offset."""

    stream: int
    limit: int


class MaxStreams(NamedTuple):
    """The peer may have opened this many streams in all."""

    limit: int


class Datagram(NamedTuple):
    """An unreliable message."""

    data: bytes


class Close(NamedTuple):
    """The session is over."""

    code: int
    reason: str


class PathChallenge(NamedTuple):
    """Show that you receive on the path this came by."""

    token: bytes


class PathResponse(NamedTuple):
    """Answer a challenge, and tell its sender the address it came from."""

    token: bytes
    observed: Address


class Candidates(NamedTuple):
    """Replace what was said before about the addresses this end may be reached at."""

    generation: int
    addresses: tuple[Address, ...]


Frame = (
    Padding
    | Ping
    | Ack
    | Stream
    | Reset
    | Stop
    | MaxData
    | MaxStreamData
    | MaxStreams
    | Datagram
    | Close
    | PathChallenge
    | PathResponse
    | Candidates
)


def encode_ack(ranges: Sequence[tuple[int, int]], delay: int) -> bytes:
    """Encode an ACK of inclusive ranges, the highest first; ``delay`` in ACK_DELAY_UNIT."""
    low, largest = ranges[0]
    head = _ACK.pack(FrameType.ACK, len(ranges) - 1, min(delay, 0xFFFF), largest - low, largest)
    if len(ranges) == 1:
        return head
    parts = [head]
    for start, stop in ranges[1:]:
        parts.append(_RANGE.pack(low - stop - 1, stop - start + 1))
        low = start
    return b"".join(parts)


def stream_header(stream: int, offset: int, length: int, *, fin: bool) -> bytes:
    """Encode the 16 bytes that stand before a STREAM frame's data."""
    return _STREAM.pack(FrameType.STREAM, FIN if fin else 0, length, stream, offset)


def stream_word(stream: int, length: int) -> int:
    """Return the first eight bytes of a STREAM header without FIN, as a big-endian number."""
    return FrameType.STREAM << 56 | length << 32 | stream


def encode(frame: Frame) -> bytes:  # noqa: C901, PLR0911 - one row for each frame
    """Encode one frame."""
    match frame:
        case Padding(size):
            return bytes(size)
        case Ping():
            return PING_FRAME
        case Ack(ranges, delay):
            return encode_ack(ranges, delay)
        case Stream(stream, offset, fin, data):
            return stream_header(stream, offset, len(data), fin=fin) + data
        case Reset(stream, code, final):
            return _RESET.pack(FrameType.RESET, code, stream, final)
        case Stop(stream, code):
            return _STOP.pack(FrameType.STOP, code, stream)
        case MaxData(limit):
            return _MAX_DATA.pack(FrameType.MAX_DATA, limit)
        case MaxStreamData(stream, limit):
            return _MAX_STREAM_DATA.pack(FrameType.MAX_STREAM_DATA, stream, limit)
        case MaxStreams(limit):
            return _MAX_STREAMS.pack(FrameType.MAX_STREAMS, limit)
        case Datagram(data):
            return _DATAGRAM.pack(FrameType.DATAGRAM, len(data)) + data
        case Close(code, reason):
            text = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
            return _CLOSE.pack(FrameType.CLOSE, code, len(text)) + text
        case PathChallenge(token):
            return bytes((FrameType.PATH_CHALLENGE,)) + token
        case PathResponse(token, observed):
            return bytes((FrameType.PATH_RESPONSE,)) + token + encode_address(observed)
        case Candidates(generation, addresses):
            head = _CANDIDATES.pack(FrameType.CANDIDATES, generation, len(addresses))
            return head + b"".join(map(encode_address, addresses))


def _malformed(what: str) -> ProtocolViolation:
    return ProtocolViolation(CloseCode.MALFORMED, f"malformed {what}")


def _take(data: bytes, at: int, length: int, what: str) -> bytes:
    taken = data[at : at + length]
    if len(taken) != length:
        raise _malformed(what)
    return taken


def _decode_padding(data: bytes, at: int) -> tuple[Padding, int]:
    size = len(data) - at
    if data[at:] != _ZEROS[:size]:
        raise _malformed("PADDING")
    return Padding(size), len(data)


def _decode_ping(_data: bytes, at: int) -> tuple[Ping, int]:
    return Ping(), at + 1


def _decode_ack(data: bytes, at: int) -> tuple[Ack, int]:
    _, count, delay, first, largest = _ACK.unpack_from(data, at)
    at += _ACK.size
    low = largest - first
    if largest > MAX_PACKET_NUMBER or low < 0 or count >= MAX_ACK_RANGES:
        raise _malformed("ACK")
    ranges = [(low, largest)]
    for _ in range(count):
        gap, length = _RANGE.unpack_from(data, at)
        at += _RANGE.size
        high = low - gap - 1
        low = high - length + 1
        if gap < 1 or length < 1 or low < 0:
            raise _malformed("ACK")
        ranges.append((low, high))
    return Ack(tuple(ranges), delay), at


def _decode_stream(data: bytes, at: int) -> tuple[Stream, int]:
    _, flags, length, stream, offset = _STREAM.unpack_from(data, at)
    at += STREAM_HEADER
    end = at + length
    if end > len(data) or flags > FIN or offset + length >= 1 << 63:
        raise _malformed("STREAM")
    return Stream(stream, offset, bool(flags), data[at:end]), end


def _decode_reset(data: bytes, at: int) -> tuple[Reset, int]:
    _, code, stream, final = _RESET.unpack_from(data, at)
    return Reset(stream, code, final), at + _RESET.size


def _decode_stop(data: bytes, at: int) -> tuple[Stop, int]:
    _, code, stream = _STOP.unpack_from(data, at)
    return Stop(stream, code), at + _STOP.size


def _decode_max_data(data: bytes, at: int) -> tuple[MaxData, int]:
    return MaxData(_MAX_DATA.unpack_from(data, at)[1]), at + _MAX_DATA.size


def _decode_max_stream_data(data: bytes, at: int) -> tuple[MaxStreamData, int]:
    _, stream, limit = _MAX_STREAM_DATA.unpack_from(data, at)
    return MaxStreamData(stream, limit), at + _MAX_STREAM_DATA.size


def _decode_max_streams(data: bytes, at: int) -> tuple[MaxStreams, int]:
    return MaxStreams(_MAX_STREAMS.unpack_from(data, at)[1]), at + _MAX_STREAMS.size


def _decode_datagram(data: bytes, at: int) -> tuple[Datagram, int]:
    length = _DATAGRAM.unpack_from(data, at)[1]
    at += DATAGRAM_HEADER
    return Datagram(_take(data, at, length, "DATAGRAM")), at + length


def _decode_close(data: bytes, at: int) -> tuple[Close, int]:
    _, code, length = _CLOSE.unpack_from(data, at)
    at += _CLOSE.size
    if length > MAX_REASON:
        raise _malformed("CLOSE")
    reason = _take(data, at, length, "CLOSE").decode(errors="strict")
    return Close(code, reason), at + length


def _decode_path_challenge(data: bytes, at: int) -> tuple[PathChallenge, int]:
    return PathChallenge(_take(data, at + 1, CHALLENGE_BYTES, "PATH_CHALLENGE")), at + 1 + CHALLENGE_BYTES


def _decode_path_response(data: bytes, at: int) -> tuple[PathResponse, int]:
    token = _take(data, at + 1, CHALLENGE_BYTES, "PATH_RESPONSE")
    observed, end = decode_address(data, at + 1 + CHALLENGE_BYTES)
    return PathResponse(token, observed), end


def _decode_candidates(data: bytes, at: int) -> tuple[Candidates, int]:
    _, generation, count = _CANDIDATES.unpack_from(data, at)
    at += _CANDIDATES.size
    if count > MAX_OBSERVED_CANDIDATES:
        raise _malformed("CANDIDATES")
    addresses = []
    for _ in range(count):
        address, at = decode_address(data, at)
        addresses.append(address)
    return Candidates(generation, tuple(addresses)), at


_DECODERS: Final[dict[int, Callable[[bytes, int], tuple[Frame, int]]]] = {
    FrameType.PADDING: _decode_padding,
    FrameType.PING: _decode_ping,
    FrameType.ACK: _decode_ack,
    FrameType.STREAM: _decode_stream,
    FrameType.RESET: _decode_reset,
    FrameType.STOP: _decode_stop,
    FrameType.MAX_DATA: _decode_max_data,
    FrameType.MAX_STREAM_DATA: _decode_max_stream_data,
    FrameType.MAX_STREAMS: _decode_max_streams,
    FrameType.DATAGRAM: _decode_datagram,
    FrameType.CLOSE: _decode_close,
    FrameType.PATH_CHALLENGE: _decode_path_challenge,
    FrameType.PATH_RESPONSE: _decode_path_response,
    FrameType.CANDIDATES: _decode_candidates,
}


def decode(data: bytes) -> list[Frame]:
    """Decode all frames of an opened packet.

    Raises ProtocolViolation for anything but a whole number of well-formed frames of known types: the
    packet is authentic, so it is the peer's fault.
    """
    frames: list[Frame] = []
    at, end = 0, len(data)
    try:
        while at < end:
            frame, at = _DECODERS[data[at]](data, at)
            frames.append(frame)
    except KeyError:
        raise ProtocolViolation(CloseCode.UNKNOWN_FRAME, f"unknown frame type {data[at]}") from None
    except (struct.error, BadDatagram, UnicodeDecodeError):
        raise _malformed(FrameType(data[at]).name) from None
    return frames


def padded(body: bytes) -> bytes:
    """Pad the frames of a packet with zeros to the next multiple of 16 bytes, and to at least one block."""
    return body + _ZEROS[: -len(body) % BLOCK or (0 if body else BLOCK)]
