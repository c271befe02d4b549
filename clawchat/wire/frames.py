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
    CANDIDATES       0D | generation u32 | count u8 | spares u8 | NAT | count addresses | spares addresses
    NAT              ports u8 (0: nothing more) | step i16 | window u16 | lowest u16 | highest u16 | base address
    PUNCH            0E | round u8 | generation u32
    REGISTER         0F | box 16
    FORWARD          10 | length u16 | box 16 | datagram
    REKEY_1          11 | epoch u16  | public key 32
    REKEY_2          12 | epoch u16  | public key 32
    REKEY_PLEASE     13 | epoch u16
    MOVE_PORT        14 | generation u32 | grace u16 | count u8 | count addresses
    COMPROMISED      15 | scope u8 (0: the session, 1: all)

ACK: ``first`` is how many numbers below ``largest`` are acknowledged with it; each further range leaves
out ``gap`` numbers below the previous one and then acknowledges ``length``. An unknown type is a
violation that closes the session: both ends speak one version, there is nothing to guess.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from clawchat.values.address import Address, encode_address
from clawchat.values.habit import UNKNOWN, Habit
from clawchat.values.limits import BLOCK, MAX_DATAGRAM
from clawchat.wire.rotation import Compromised, MovePort, Rekey1, Rekey2, RekeyPlease


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
    PUNCH = 0x0E
    REGISTER = 0x0F
    FORWARD = 0x10
    REKEY_1 = 0x11
    REKEY_2 = 0x12
    REKEY_PLEASE = 0x13
    MOVE_PORT = 0x14
    COMPROMISED = 0x15


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
    KEY_EXHAUSTED = 8
    REKEY = 9
    APPLICATION = 256


FIN: Final = 1
STREAM_HEADER: Final = 16
CHALLENGE_BYTES: Final = 8
PROBING: Final = frozenset({FrameType.PATH_CHALLENGE, FrameType.PATH_RESPONSE})
"""A packet that begins with one of these tests a path; its sender need not use it (RFC 9000 section 9.1)."""
MAX_REASON: Final = 256

ACK = struct.Struct(">BBHIQ")
ACK_RANGE = struct.Struct(">II")
STREAM = struct.Struct(">BBHIQ")
RESET = struct.Struct(">BxHIQ")
STOP = struct.Struct(">BxHI")
MAX_DATA = struct.Struct(">BQ")
MAX_STREAM_DATA = struct.Struct(">BIQ")
MAX_STREAMS = struct.Struct(">BI")
DATAGRAM = struct.Struct(">BH")
CLOSE = struct.Struct(">BHH")
CANDIDATES = struct.Struct(">BIBBB")
HABIT = struct.Struct(">hHHH")
PUNCH = struct.Struct(">BBI")
FORWARD = struct.Struct(">BH16s")
REKEY = struct.Struct(">BH32s")
REKEY_PLEASE = struct.Struct(">BH")
MOVE_PORT = struct.Struct(">BIHB")
COMPROMISED = struct.Struct(">BB")

BOX_BYTES: Final = 16
FORWARD_HEADER: Final = FORWARD.size
DATAGRAM_HEADER: Final = DATAGRAM.size
PING_FRAME: Final = bytes((FrameType.PING,))
_ZEROS: Final = bytes(MAX_DATAGRAM)
_MAX_GAP: Final = 0xFFFF_FFFF


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
    """Replace what was said before about the addresses this end may be reached at.

    ``spares`` are ports kept for when the others fail, ``nat`` says how this end's NAT chooses ports.
    """

    generation: int
    addresses: tuple[Address, ...]
    spares: tuple[Address, ...] = ()
    nat: Habit = UNKNOWN


class Punch(NamedTuple):
    """Our NAT is open for your candidates of a generation: what you send gets through, in this round of punching.

    Generation 0 are the candidates of the handshake.
    """

    round: int
    generation: int = 0


class Register(NamedTuple):
    """Take what comes for this box at a relay, too."""

    box: bytes


class Forward(NamedTuple):
    """To a relay: pass this on to a box. From a relay: this came from one; answer there."""

    box: bytes
    data: bytes


Frame = (
    Padding | Ping | Ack | Stream | Reset | Stop | MaxData | MaxStreamData | MaxStreams | Datagram | Close
    | PathChallenge | PathResponse | Candidates | Punch | Register | Forward
    | Rekey1 | Rekey2 | RekeyPlease | MovePort | Compromised
)  # fmt: skip


def encode_ack(ranges: Sequence[tuple[int, int]], delay: int) -> bytes:
    """Encode an ACK of inclusive ranges, the highest first; ``delay`` in ACK_DELAY_UNIT.

    Ranges below a gap of more than 32 bits, which no honest sender leaves, are left out.
    """
    low, largest = ranges[0]
    first = largest - low
    if len(ranges) == 1:
        return ACK.pack(FrameType.ACK, 0, min(delay, 0xFFFF), first, largest)
    rest: list[bytes] = []
    for start, stop in ranges[1:]:
        gap = low - stop - 1
        if gap > _MAX_GAP:
            break
        rest.append(ACK_RANGE.pack(gap, stop - start + 1))
        low = start
    return ACK.pack(FrameType.ACK, len(rest), min(delay, 0xFFFF), first, largest) + b"".join(rest)


def stream_header(stream: int, offset: int, length: int, *, fin: bool) -> bytes:
    """Encode the 16 bytes that stand before a STREAM frame's data."""
    return STREAM.pack(FrameType.STREAM, FIN if fin else 0, length, stream, offset)


def stream_word(stream: int, length: int) -> int:
    """Return the first eight bytes of a STREAM header without FIN, as a big-endian number."""
    return FrameType.STREAM << 56 | length << 32 | stream


def _encode_habit(nat: Habit) -> bytes:
    if nat.base is None:
        return b""
    return HABIT.pack(nat.step, nat.window, nat.lowest, nat.highest) + encode_address(nat.base)


def encode(frame: Frame) -> bytes:  # noqa: C901, PLR0911, PLR0912 - one row for each frame
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
            return RESET.pack(FrameType.RESET, code, stream, final)
        case Stop(stream, code):
            return STOP.pack(FrameType.STOP, code, stream)
        case MaxData(limit):
            return MAX_DATA.pack(FrameType.MAX_DATA, limit)
        case MaxStreamData(stream, limit):
            return MAX_STREAM_DATA.pack(FrameType.MAX_STREAM_DATA, stream, limit)
        case MaxStreams(limit):
            return MAX_STREAMS.pack(FrameType.MAX_STREAMS, limit)
        case Datagram(data):
            return DATAGRAM.pack(FrameType.DATAGRAM, len(data)) + data
        case Close(code, reason):
            text = reason.encode()[:MAX_REASON].decode(errors="ignore").encode()
            return CLOSE.pack(FrameType.CLOSE, code, len(text)) + text
        case PathChallenge(token):
            return bytes((FrameType.PATH_CHALLENGE,)) + token
        case PathResponse(token, observed):
            return bytes((FrameType.PATH_RESPONSE,)) + token + encode_address(observed)
        case Punch(number, generation):
            return PUNCH.pack(FrameType.PUNCH, number, generation)
        case Register(box):
            return bytes((FrameType.REGISTER,)) + box
        case Forward(box, data):
            return FORWARD.pack(FrameType.FORWARD, len(data), box) + data
        case Rekey1(epoch, public):
            return REKEY.pack(FrameType.REKEY_1, epoch, public)
        case Rekey2(epoch, public):
            return REKEY.pack(FrameType.REKEY_2, epoch, public)
        case RekeyPlease(epoch):
            return REKEY_PLEASE.pack(FrameType.REKEY_PLEASE, epoch)
        case MovePort(generation, grace, addresses):
            head = MOVE_PORT.pack(FrameType.MOVE_PORT, generation, grace, len(addresses))
            return head + b"".join(map(encode_address, addresses))
        case Compromised(scope):
            return COMPROMISED.pack(FrameType.COMPROMISED, scope)
        case Candidates(generation, addresses, spares, nat):
            head = CANDIDATES.pack(FrameType.CANDIDATES, generation, len(addresses), len(spares), nat.ports)
            return head + _encode_habit(nat) + b"".join(map(encode_address, addresses + spares))


def padded(body: bytes) -> bytes:
    """Pad the frames of a packet with zeros to the next multiple of 16 bytes, and to at least one block."""
    return body + _ZEROS[: -len(body) % BLOCK or (0 if body else BLOCK)]
