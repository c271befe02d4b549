"""An authentic packet that breaks a rule closes the session with the code of that rule."""

from __future__ import annotations

import pytest

from clawchat.session.state import State
from clawchat.values.errors import LocallyClosed, PeerClosed
from clawchat.values.events import SessionEnded, StreamReadable
from clawchat.values.limits import MAX_STREAMS, SESSION_WINDOW, STREAM_WINDOW
from clawchat.wire.frames import (
    Ack,
    CloseCode,
    Datagram,
    Frame,
    MaxStreamData,
    PathChallenge,
    Ping,
    Reset,
    Stop,
    Stream,
    encode,
)
from tests.support.forge import Forger
from tests.support.pair import Pair


def ready() -> tuple[Pair, Forger]:
    pair = Pair(keylog=True).handshake()
    pair.drive()
    return pair, Forger(pair, pair.server)


def code_of(pair: Pair) -> int:
    """Return the code the client was told, after the server closed."""
    pair.drive()
    (ended,) = pair.server.told(SessionEnded)
    assert isinstance(ended.error, LocallyClosed)
    assert not pair.server.endpoint.sessions
    (told,) = pair.client.told(SessionEnded)
    assert isinstance(told.error, PeerClosed)
    assert told.error.reason == str(ended.error)
    return told.error.close_code


def stream(number: int, offset: int, data: bytes = b"x", *, fin: bool = False) -> Stream:
    return Stream(number, offset, fin, data)


VIOLATIONS: list[tuple[str, list[Frame], CloseCode]] = [
    ("a stream beyond its window", [stream(0, STREAM_WINDOW)], CloseCode.FLOW_CONTROL),
    ("a reset beyond the window", [Reset(0, 0, STREAM_WINDOW + 1)], CloseCode.FLOW_CONTROL),
    ("the session's window", [stream(2 * n, STREAM_WINDOW - 1) for n in range(3)], CloseCode.FLOW_CONTROL),
    ("bytes after the end", [stream(0, 9, fin=True), stream(0, 10)], CloseCode.FINAL_SIZE),
    ("another end", [stream(0, 9, fin=True), stream(0, 8, fin=True)], CloseCode.FINAL_SIZE),
    ("an end before bytes that came", [stream(0, 9), stream(0, 3, fin=True)], CloseCode.FINAL_SIZE),
    ("a reset to another end", [stream(0, 9, fin=True), Reset(0, 0, 11)], CloseCode.FINAL_SIZE),
    ("a stream too many", [stream(2 * MAX_STREAMS, 0)], CloseCode.STREAM_STATE),
    ("a stream of ours that we never opened", [stream(1, 0)], CloseCode.STREAM_STATE),
    ("a window for such a stream", [MaxStreamData(3, 1)], CloseCode.STREAM_STATE),
    ("a stop of such a stream", [Stop(5, 0)], CloseCode.STREAM_STATE),
    ("a reset of such a stream", [Reset(5, 0, 0)], CloseCode.STREAM_STATE),
    ("an ACK of what was never sent", [Ack(((0, 1 << 30),), 0)], CloseCode.ACK_UNSENT),
]


@pytest.mark.parametrize(("frames", "code"), [row[1:] for row in VIOLATIONS], ids=[row[0] for row in VIOLATIONS])
@pytest.mark.parametrize("together", [True, False])
def test_a_broken_rule(frames: list[Frame], code: CloseCode, *, together: bool) -> None:
    pair, forger = ready()
    for frame in [frames] if together else [[frame] for frame in frames]:
        forger.send(*frame)
    assert code_of(pair) == code


@pytest.mark.parametrize(
    "body",
    [
        bytes(15) + b"\x01",  # padding that is not zero
        encode(Ping()) + bytes(3) + b"\x01" + bytes(11),
        b"\x02\x40" + bytes(2) + bytes(4) + (9).to_bytes(8, "big") + bytes(64 * 8),  # an ACK of 65 ranges
        b"\x02\x00" + bytes(2) + (10).to_bytes(4, "big") + (9).to_bytes(8, "big"),  # an ACK below zero
        b"\x02\x01" + bytes(2) + bytes(4) + (9).to_bytes(8, "big") + bytes(4) + (1).to_bytes(4, "big"),  # no gap
        b"\x02\x01" + bytes(2) + bytes(4) + (9).to_bytes(8, "big") + (1).to_bytes(4, "big") + bytes(4),  # no length
        b"\x02\x00" + bytes(2) + bytes(4) + (1 << 48).to_bytes(8, "big"),  # a packet number of 49 bits
        b"\x03\x00\x00\x09" + bytes(12) + b"12345678",  # a STREAM that is longer than its packet
        b"\x03\x02\x00\x00" + bytes(12),  # an unknown flag
        b"\x03\x00\x00\x00" + bytes(4) + (1 << 63).to_bytes(8, "big"),  # an offset of 64 bits
        b"\x01\x04" + bytes(14),  # a RESET cut short
        b"\x09\x00\x10" + bytes(13),  # a DATAGRAM that is longer than its packet
        b"\x0a\x00\x00\x00\x02\xff\xfe" + bytes(9),  # a reason that is no UTF-8
        b"\x0a\x00\x00\x01\x01" + b"a" * 0x101,  # a reason that is too long
        bytes(13) + b"\x0b\x00\x00",  # padding before a frame
        b"\x0c" + bytes(8) + b"\x05" + bytes(6),  # an observed address of no family
        b"\x0d\x00\x00\x00\x01\x11" + bytes(10),  # seventeen candidates
        b"\x0d\x00\x00\x00\x01\x03\x04\x7f\x00\x00\x01\x00\x01" + bytes(3),  # candidates cut short
    ],
)
def test_a_malformed_body(body: bytes) -> None:
    pair, forger = ready()
    forger.send(body=body)
    assert code_of(pair) == CloseCode.MALFORMED


@pytest.mark.parametrize("kind", [0x30, 0x40, 0xFF])
def test_an_unknown_frame(kind: int) -> None:
    pair, forger = ready()
    forger.send(body=bytes((kind,)) + bytes(15))
    assert code_of(pair) == CloseCode.UNKNOWN_FRAME


def test_too_many_gaps() -> None:
    pair, forger = ready()
    for packet in range(140):
        forger.send(*[stream(0, 1 + 2 * (60 * packet + n)) for n in range(60)])
    assert code_of(pair) == CloseCode.TOO_MUCH


def test_a_batch_with_a_violation_in_its_middle() -> None:
    """What stands before it is heard, what stands after it is not."""
    pair, forger = ready()
    before, broken, after = stream(0, 0, bytes(100)), stream(1, 0, bytes(100)), stream(2, 0, bytes(100))
    forger.deliver(*[forger.packet(frame) for frame in (before, broken, after)])
    pair.serve(pair.server)
    assert [event.stream for event in pair.server.told(StreamReadable)] == [0]
    assert code_of(pair) == CloseCode.STREAM_STATE


def test_a_batch_that_runs_over_the_window() -> None:
    pair, forger = ready()
    size = 1152
    start = STREAM_WINDOW - 10 * size
    forger.deliver(*[forger.packet(stream(0, start + n * size, bytes(size))) for n in range(11)])
    assert code_of(pair) == CloseCode.FLOW_CONTROL


def test_all_that_is_allowed_is_taken() -> None:
    pair, forger = ready()
    pair.server.reading = False
    forger.send(*[stream(2 * n, STREAM_WINDOW - 1) for n in range(SESSION_WINDOW // STREAM_WINDOW)])
    forger.send(stream(2 * (MAX_STREAMS - 1), 0, b"", fin=True), PathChallenge(b"12345678"), Datagram(b""))
    forger.send(Reset(0, 0, STREAM_WINDOW), Reset(0, 0, STREAM_WINDOW), stream(0, 0), Stop(2, 7), Stop(2, 7))
    pair.serve(pair.server)
    assert pair.server.session.state is State.OPEN
    assert not pair.server.told(SessionEnded)


def test_a_first_packet_may_be_the_last() -> None:
    """The confirmation itself is malformed: the slot is burnt, and the session over."""
    pair = Pair(keylog=True)
    pair.join(pair.invite())
    pair.drive(until=lambda: pair.client.opened is not None)
    pair.client.link.up = False
    pair.server.opened = next(iter(pair.server.endpoint.sessions.values()))
    Forger(pair, pair.server).send(body=b"\xff" * 16)
    assert code_of(pair) == CloseCode.UNKNOWN_FRAME
    assert pair.server.endpoint.armed == []
