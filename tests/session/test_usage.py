"""A call that a program must not make raises at the call, and changes nothing."""

from __future__ import annotations

import pytest

from clawchat.crypto.credential import make_slot
from clawchat.values.errors import UsageError
from clawchat.values.events import DatagramReceived
from clawchat.values.limits import MAX_STREAMS
from clawchat.wire.frames import DATAGRAM_HEADER
from tests.support.pair import Pair


@pytest.fixture
def pair() -> Pair:
    return Pair().handshake()


def test_no_more_streams_than_the_peer_allows(pair: Pair) -> None:
    for _ in range(MAX_STREAMS):
        pair.client.session.open_stream()
    with pytest.raises(UsageError):
        pair.client.session.open_stream()


def test_streams_that_were_finished_make_room_for_others(pair: Pair) -> None:
    for _ in range(3 * MAX_STREAMS):
        stream = pair.client.open(b"x", fin=True)
        pair.drive(0.05)
        pair.server.session.write(stream, b"", fin=True)
        pair.drive(0.05)
    assert pair.client.session.open_stream() == 6 * MAX_STREAMS


@pytest.mark.parametrize("stream", [0, 1, 1000])
def test_a_stream_that_does_not_exist_can_t_be_written(pair: Pair, stream: int) -> None:
    with pytest.raises(UsageError):
        pair.client.session.write(stream, b"x")


def test_a_stream_that_has_ended_can_t_be_written(pair: Pair) -> None:
    stream = pair.client.open(b"x", fin=True)
    with pytest.raises(UsageError):
        pair.client.session.write(stream, b"y")
    pair.drive()
    with pytest.raises(UsageError):
        pair.client.session.write(stream, b"y")
    assert pair.server.heard(stream) == b"x"


def test_a_message_is_as_long_as_a_packet_takes_and_no_longer(pair: Pair) -> None:
    longest = pair.client.session.stats(now=pair.now).datagram_size - 32 - DATAGRAM_HEADER
    with pytest.raises(UsageError):
        pair.client.session.send_datagram(bytes(longest + 1))
    pair.client.session.send_datagram(bytes(longest))
    pair.client.session.send_datagram(b"")
    pair.drive()
    assert [len(event.data) for event in pair.server.told(DatagramReceived)] == [longest, 0]


def test_a_session_that_is_over_says_so(pair: Pair) -> None:
    stream = pair.client.open(b"x")
    pair.client.session.close(now=pair.now)
    pair.drive()
    session = pair.client.session
    for forbidden in (
        session.open_stream,
        session.ping,
        lambda: session.send_datagram(b"x"),
        lambda: session.write(stream, b"x"),
    ):
        with pytest.raises(UsageError):
            forbidden()
    session.reset(stream)
    session.stop(stream)
    session.close(now=pair.now)
    said = len(pair.datagrams)
    pair.drive(10)
    assert len(pair.datagrams) == said


def test_a_slot_is_armed_once() -> None:
    pair = Pair()
    slot = make_slot(
        pair.chance.randbytes,
        name="twice",
        hello_header_key=bytes(32),
        candidates=[],
        relays=[],
        timestamp=0,
        validity=1,
    )
    pair.server.endpoint.arm(slot, deadline=pair.now + 10)
    with pytest.raises(UsageError):
        pair.server.endpoint.arm(slot, deadline=pair.now + 10)
    pair.server.endpoint.disarm(slot.credential.slot_id)
    pair.server.endpoint.disarm(slot.credential.slot_id)
    assert pair.server.endpoint.armed == []
