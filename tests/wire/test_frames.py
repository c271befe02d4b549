"""Frames: what is encoded is decoded, and nothing else is."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.values.address import Address
from clawchat.values.errors import ProtocolViolation
from clawchat.values.habit import BLOCKED, UNKNOWN, Habit, Ports
from clawchat.values.limits import BLOCK, MAX_ACK_RANGES, MAX_OBSERVED_CANDIDATES, MAX_PACKET_NUMBER, MAX_SPARES
from clawchat.wire.decoding import MAX_OFFSET, decode
from clawchat.wire.frames import (
    BOX_BYTES,
    MAX_REASON,
    PROBING,
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
    encode,
    encode_ack,
    padded,
    stream_header,
    stream_word,
)
from clawchat.wire.rotation import Compromised, MovePort, Rekey1, Rekey2, RekeyPlease, Scope

U16, U32, U64 = (st.integers(0, (1 << bits) - 1) for bits in (16, 32, 64))
TOKENS = st.binary(min_size=8, max_size=8)
IPV4 = st.integers(0, (1 << 32) - 1).map(lambda value: str(ipaddress.IPv4Address(value)))
IPV6 = st.integers(1 << 64, (1 << 128) - 1).map(lambda value: str(ipaddress.IPv6Address(value)))  # above ::ffff:0:0/96
ADDRESSES = st.builds(Address, st.one_of(IPV4, IPV6), U16)
HABITS = st.one_of(
    st.sampled_from([UNKNOWN, BLOCKED]),
    st.builds(
        Habit,
        st.sampled_from([ports for ports in Ports if ports and ports is not Ports.BLOCKED]),
        st.integers(-(1 << 15), (1 << 15) - 1),
        U16,
        U16,
        U16,
        ADDRESSES,
    ),
)


@st.composite
def acks(draw: st.DrawFn) -> Ack:
    spans = draw(st.lists(st.tuples(st.integers(2, 1000), st.integers(1, 1000)), min_size=1, max_size=MAX_ACK_RANGES))
    ranges: list[tuple[int, int]] = []
    low = draw(st.integers(2000 * MAX_ACK_RANGES, MAX_PACKET_NUMBER + 1))
    for gap, length in spans:
        high = low - (gap if ranges else 1)
        low = high - length + 1
        ranges.append((low, high))
    return Ack(tuple(ranges), draw(U16))


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    data = draw(st.binary(max_size=300))
    return Stream(draw(U32), draw(st.integers(0, MAX_OFFSET - len(data))), draw(st.booleans()), data)


REASONS = (
    st.text(max_size=100)
    .filter(lambda text: len(text.encode(errors="replace")) <= MAX_REASON)
    .map(lambda text: text.encode(errors="replace").decode())
)
FRAMES: list[st.SearchStrategy[Frame]] = [
    st.just(Ping()),
    acks(),
    streams(),
    st.builds(Reset, U32, U16, U64),
    st.builds(Stop, U32, U16),
    st.builds(MaxData, U64),
    st.builds(MaxStreamData, U32, U64),
    st.builds(MaxStreams, U32),
    st.builds(Datagram, st.binary(max_size=1400)),
    st.builds(Close, U16, REASONS),
    st.builds(PathChallenge, TOKENS),
    st.builds(PathResponse, TOKENS, ADDRESSES),
    st.builds(
        Candidates,
        U32,
        st.lists(ADDRESSES, max_size=MAX_OBSERVED_CANDIDATES).map(tuple),
        st.lists(ADDRESSES, max_size=MAX_SPARES).map(tuple),
        HABITS,
    ),
    st.builds(Punch, st.integers(0, 255), U32),
    st.builds(Register, st.binary(min_size=BOX_BYTES, max_size=BOX_BYTES)),
    st.builds(Forward, st.binary(min_size=BOX_BYTES, max_size=BOX_BYTES), st.binary(max_size=1400)),
    st.builds(Rekey1, U16, st.binary(min_size=32, max_size=32)),
    st.builds(Rekey2, U16, st.binary(min_size=32, max_size=32)),
    st.builds(RekeyPlease, U16),
    st.builds(MovePort, U32, U16, st.lists(ADDRESSES, max_size=MAX_OBSERVED_CANDIDATES).map(tuple)),
    st.builds(Compromised, st.sampled_from(Scope)),
]


@given(st.lists(st.one_of(FRAMES), max_size=12), st.integers(0, 100))
def test_what_is_encoded_is_decoded(frames: list[Frame], padding: int) -> None:
    tail = [Padding(padding)] if padding else []
    assert decode(b"".join(map(encode, [*frames, *tail]))) == frames + tail


@pytest.mark.parametrize("frame_type", FrameType)
def test_every_type_has_a_codec(frame_type: FrameType) -> None:
    """A byte that is a type fails, if at all, for what follows it; any other byte is unknown."""
    try:
        frames = decode(bytes((frame_type,)) + bytes(31))
    except ProtocolViolation as refused:
        violation = refused
    else:
        assert encode(frames[0])[0] == frame_type
        return
    assert (violation.code, violation.reason) == (CloseCode.MALFORMED, f"malformed {frame_type.name}")


@pytest.mark.parametrize("unknown", sorted(set(range(256)) - set(FrameType)))
def test_an_unknown_type_is_a_violation(unknown: int) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        decode(encode(Ping()) + bytes((unknown,)) + bytes(40))
    assert refused.value.code == CloseCode.UNKNOWN_FRAME


@given(st.binary(max_size=1440))
def test_any_bytes_are_frames_or_a_violation(data: bytes) -> None:
    """And what was understood is understood the same when it is said again."""
    try:
        frames = decode(data)
    except ProtocolViolation:
        return
    assert decode(b"".join(map(encode, frames))) == frames


@given(st.one_of(FRAMES), st.data())
def test_a_frame_cut_short_is_a_violation(frame: Frame, data: st.DataObject) -> None:
    encoded = encode(frame)
    if len(encoded) > 1:
        with pytest.raises(ProtocolViolation) as refused:
            decode(encoded[: data.draw(st.integers(1, len(encoded) - 1))])
        assert refused.value.code == CloseCode.MALFORMED


@given(st.binary(max_size=1400))
def test_a_body_is_padded_to_whole_blocks(body: bytes) -> None:
    filled = padded(body)
    assert len(filled) % BLOCK == 0
    assert 0 < len(filled) < len(body) + BLOCK + (not body)
    assert filled.startswith(body)
    assert not filled[len(body) :].strip(b"\0")


@pytest.mark.parametrize(
    ("frame", "encoded"),
    [
        (Padding(3), "000000"),
        (Ping(), "01"),
        (Ack(((5, 9),), 7), "02 00 0007 00000004 0000000000000009"),
        (Ack(((8, 9), (2, 4)), 0), "02 01 0000 00000001 0000000000000009 00000003 00000003"),
        (Stream(4, 10, fin=True, data=b"hi"), "03 01 0002 00000004 000000000000000a 6869"),
        (Reset(4, 300, 12), "04 00 012c 00000004 000000000000000c"),
        (Stop(4, 300), "05 00 012c 00000004"),
        (MaxData(1 << 40), "06 0000010000000000"),
        (MaxStreamData(4, 1 << 40), "07 00000004 0000010000000000"),
        (MaxStreams(256), "08 00000100"),
        (Datagram(b"hi"), "09 0002 6869"),
        (Close(300, "bye"), "0a 012c 0003 627965"),
        (PathChallenge(b"12345678"), "0b 3132333435363738"),
        (PathResponse(b"12345678", Address("203.0.113.1", 80)), "0c 3132333435363738 04 cb007101 0050"),
        (Candidates(9, (Address("::1", 80),)), "0d 00000009 01 00 00 06 00000000000000000000000000000001 0050"),
        (
            Candidates(9, (), (Address("1.2.3.4", 5),), Habit(Ports.COUNTING, -2, 16, 7, 9, Address("1.2.3.5", 6))),
            "0d 00000009 00 01 03 fffe 0010 0007 0009 04 01020305 0006 04 01020304 0005",
        ),
        (Punch(3, 7), "0e 03 00000007"),
        (Register(b"0123456789abcdef"), "0f 30313233343536373839616263646566"),
        (Forward(b"0123456789abcdef", b"hi"), "10 0002 30313233343536373839616263646566 6869"),
        (Rekey1(7, bytes(range(32))), "11 0007" + bytes(range(32)).hex()),
        (Rekey2(7, bytes(range(32))), "12 0007" + bytes(range(32)).hex()),
        (RekeyPlease(7), "13 0007"),
        (MovePort(7, 30, (Address("203.0.113.1", 80),)), "14 00000007 001e 01 04 cb007101 0050"),
        (Compromised(Scope.ALL), "15 01"),
    ],
)
def test_the_layout_is_the_one_that_is_drawn(frame: Frame, encoded: str) -> None:
    assert encode(frame) == bytes.fromhex(encoded)


@given(U32, st.integers(0, 0xFFFF), st.integers(0, 1 << 60))
def test_the_header_of_a_full_packet_is_two_words(stream: int, length: int, offset: int) -> None:
    header = stream_header(stream, offset, length, fin=False)
    assert len(header) == STREAM_HEADER
    assert header == stream_word(stream, length).to_bytes(8, "big") + offset.to_bytes(8, "big")


def test_an_ack_leaves_out_what_lies_beyond_a_gap_of_32_bits() -> None:
    far, near = (1 << 40, 1 << 40), ((1 << 40) - 9, (1 << 40) - 5)
    assert decode(encode_ack([far, near, (3, 4)], 0)) == [Ack((far, near), 0)]
    assert decode(encode_ack([far, (3, 4)], 0)) == [Ack((far,), 0)]


def test_a_delay_that_is_too_long_is_the_longest() -> None:
    assert decode(encode_ack([(0, 0)], 1 << 20)) == [Ack(((0, 0),), 0xFFFF)]


@given(st.text(max_size=400).map(lambda text: text.encode(errors="replace").decode()))
def test_a_reason_is_cut_between_characters(reason: str) -> None:
    (frame,) = decode(encode(Close(1, reason)))
    assert isinstance(frame, Close)
    assert reason.startswith(frame.reason)
    assert len(frame.reason.encode()) > min(len(reason.encode()), MAX_REASON) - 4


def test_only_tests_of_a_path_are_probing() -> None:
    probing = {encode(frame)[0] for frame in (PathChallenge(b"12345678"), PathResponse(bytes(8), Address("::1", 1)))}
    assert probing == PROBING
