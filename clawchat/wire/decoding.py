"""Decoding of frames: a table from the first byte to the rule for the rest (layouts stand in ``frames``)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from clawchat.values.address import decode_address
from clawchat.values.errors import BadDatagram, ProtocolViolation
from clawchat.values.habit import BLOCKED, UNKNOWN, Habit, Ports
from clawchat.values.limits import MAX_ACK_RANGES, MAX_DATAGRAM, MAX_OBSERVED_CANDIDATES, MAX_PACKET_NUMBER, MAX_SPARES
from clawchat.wire.frames import (
    ACK,
    ACK_RANGE,
    BOX_BYTES,
    CANDIDATES,
    CHALLENGE_BYTES,
    CLOSE,
    COMPROMISED,
    DATAGRAM,
    DATAGRAM_HEADER,
    FIN,
    FORWARD,
    FORWARD_HEADER,
    HABIT,
    MAX_DATA,
    MAX_REASON,
    MAX_STREAM_DATA,
    MAX_STREAMS,
    MOVE_PORT,
    PUNCH,
    REKEY,
    REKEY_PLEASE,
    RESET,
    STOP,
    STREAM,
    STREAM_HEADER,
    Ack,
    Candidates,
    Close,
    CloseCode,
    Datagram,
    Forward,
    Frame,
    FrameType,
    MaxData,
    MaxStreamData,
    MaxStreams,
    Padding,
    PathChallenge,
    PathResponse,
    Ping,
    Punch,
    Register,
    Reset,
    Stop,
    Stream,
)
from clawchat.wire.rotation import Compromised, MovePort, Rekey1, Rekey2, RekeyPlease, Scope

_ZEROS: Final = bytes(MAX_DATAGRAM)
MAX_OFFSET: Final = (1 << 63) - 1
"""No stream is longer than this."""


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
    _, count, delay, first, largest = ACK.unpack_from(data, at)
    at += ACK.size
    low = largest - first
    if largest > MAX_PACKET_NUMBER or low < 0 or count >= MAX_ACK_RANGES:
        raise _malformed("ACK")
    ranges = [(low, largest)]
    for _ in range(count):
        gap, length = ACK_RANGE.unpack_from(data, at)
        at += ACK_RANGE.size
        high = low - gap - 1
        low = high - length + 1
        if gap < 1 or length < 1 or low < 0:
            raise _malformed("ACK")
        ranges.append((low, high))
    return Ack(tuple(ranges), delay), at


def _decode_stream(data: bytes, at: int) -> tuple[Stream, int]:
    _, flags, length, stream, offset = STREAM.unpack_from(data, at)
    at += STREAM_HEADER
    end = at + length
    if end > len(data) or flags > FIN or offset + length > MAX_OFFSET:
        raise _malformed("STREAM")
    return Stream(stream, offset, bool(flags), data[at:end]), end


def _decode_reset(data: bytes, at: int) -> tuple[Reset, int]:
    _, code, stream, final = RESET.unpack_from(data, at)
    return Reset(stream, code, final), at + RESET.size


def _decode_stop(data: bytes, at: int) -> tuple[Stop, int]:
    _, code, stream = STOP.unpack_from(data, at)
    return Stop(stream, code), at + STOP.size


def _decode_max_data(data: bytes, at: int) -> tuple[MaxData, int]:
    return MaxData(MAX_DATA.unpack_from(data, at)[1]), at + MAX_DATA.size


def _decode_max_stream_data(data: bytes, at: int) -> tuple[MaxStreamData, int]:
    _, stream, limit = MAX_STREAM_DATA.unpack_from(data, at)
    return MaxStreamData(stream, limit), at + MAX_STREAM_DATA.size


def _decode_max_streams(data: bytes, at: int) -> tuple[MaxStreams, int]:
    return MaxStreams(MAX_STREAMS.unpack_from(data, at)[1]), at + MAX_STREAMS.size


def _decode_datagram(data: bytes, at: int) -> tuple[Datagram, int]:
    length = DATAGRAM.unpack_from(data, at)[1]
    at += DATAGRAM_HEADER
    return Datagram(_take(data, at, length, "DATAGRAM")), at + length


def _decode_close(data: bytes, at: int) -> tuple[Close, int]:
    _, code, length = CLOSE.unpack_from(data, at)
    at += CLOSE.size
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
    _, generation, count, spares, ports = CANDIDATES.unpack_from(data, at)
    at += CANDIDATES.size
    if count > MAX_OBSERVED_CANDIDATES or spares > MAX_SPARES or ports > max(Ports):
        raise _malformed("CANDIDATES")
    nat = BLOCKED if ports == Ports.BLOCKED else UNKNOWN
    if ports and nat is UNKNOWN:
        step, window, lowest, highest = HABIT.unpack_from(data, at)
        base, at = decode_address(data, at + HABIT.size)
        nat = Habit(Ports(ports), step, window, lowest, highest, base)
    addresses = []
    for _ in range(count + spares):
        address, at = decode_address(data, at)
        addresses.append(address)
    return Candidates(generation, tuple(addresses[:count]), tuple(addresses[count:]), nat), at


def _decode_punch(data: bytes, at: int) -> tuple[Punch, int]:
    _, number, generation = PUNCH.unpack_from(data, at)
    return Punch(number, generation), at + PUNCH.size


def _decode_register(data: bytes, at: int) -> tuple[Register, int]:
    return Register(_take(data, at + 1, BOX_BYTES, "REGISTER")), at + 1 + BOX_BYTES


def _decode_forward(data: bytes, at: int) -> tuple[Forward, int]:
    _, length, box = FORWARD.unpack_from(data, at)
    at += FORWARD_HEADER
    return Forward(box, _take(data, at, length, "FORWARD")), at + length


def _decode_rekey_1(data: bytes, at: int) -> tuple[Rekey1, int]:
    _, epoch, public = REKEY.unpack_from(data, at)
    return Rekey1(epoch, public), at + REKEY.size


def _decode_rekey_2(data: bytes, at: int) -> tuple[Rekey2, int]:
    _, epoch, public = REKEY.unpack_from(data, at)
    return Rekey2(epoch, public), at + REKEY.size


def _decode_rekey_please(data: bytes, at: int) -> tuple[RekeyPlease, int]:
    return RekeyPlease(REKEY_PLEASE.unpack_from(data, at)[1]), at + REKEY_PLEASE.size


def _decode_move_port(data: bytes, at: int) -> tuple[MovePort, int]:
    _, generation, grace, count = MOVE_PORT.unpack_from(data, at)
    at += MOVE_PORT.size
    if count > MAX_OBSERVED_CANDIDATES:
        raise _malformed("MOVE_PORT")
    addresses = []
    for _ in range(count):
        address, at = decode_address(data, at)
        addresses.append(address)
    return MovePort(generation, grace, tuple(addresses)), at


def _decode_compromised(data: bytes, at: int) -> tuple[Compromised, int]:
    scope = COMPROMISED.unpack_from(data, at)[1]
    if scope > max(Scope):
        raise _malformed("COMPROMISED")
    return Compromised(Scope(scope)), at + COMPROMISED.size


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
    FrameType.PUNCH: _decode_punch,
    FrameType.REGISTER: _decode_register,
    FrameType.FORWARD: _decode_forward,
    FrameType.REKEY_1: _decode_rekey_1,
    FrameType.REKEY_2: _decode_rekey_2,
    FrameType.REKEY_PLEASE: _decode_rekey_please,
    FrameType.MOVE_PORT: _decode_move_port,
    FrameType.COMPROMISED: _decode_compromised,
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
