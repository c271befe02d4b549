"""Whatever the network does, every byte arrives once and in order, and every message at most once."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from clawchat.values.events import (
    DatagramReceived,
    PingAnswered,
    StreamDelivered,
    StreamReadable,
    StreamReset,
    StreamStopped,
    StreamWritable,
)
from tests.support.link import Link
from tests.support.pair import Pair


def content(seed: object, size: int) -> bytes:
    return random.Random(f"content {seed}").randbytes(size)


WEATHER = [
    pytest.param(Link(delay=0.010), id="clear"),
    pytest.param(Link(delay=0.010, loss=0.05, duplicate=0.02), id="5%"),
    pytest.param(Link(delay=0.050, jitter=0.020, loss=0.05, grain=0.001), id="5%-disorder"),
    pytest.param(Link(delay=0.100, jitter=0.100, loss=0.10, duplicate=0.10), id="10%-doubles"),
    pytest.param(Link(delay=0.300, jitter=0.100, loss=0.10, coalesce=False), id="10%-far-singly"),
    pytest.param(Link(delay=0.050, jitter=0.200, loss=0.30, duplicate=0.10, grain=0.005), id="30%-storm"),
]


@pytest.mark.parametrize("link", WEATHER)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_byte_arrives_once_and_in_order_both_ways(link: Link, seed: int) -> None:
    pair = Pair(seed=seed, link=link).handshake()
    client, server = pair.client, pair.server
    sizes = [150_000, 1, 0, 70_001, 16_384]
    sent = {(client, client.open(content((seed, "up", size), size), fin=True)): size for size in sizes}
    sent |= {(server, server.open(content((seed, "down", size), size), fin=True)): size for size in sizes}
    other = {client: server, server: client}
    pair.drive(until=lambda: all(other[end].ended(stream) for end, stream in sent), limit=3000)
    for (end, stream), size in sent.items():
        assert other[end].heard(stream) == content((seed, "up" if end is client else "down", size), size)
    pair.drive()
    for end in (client, server):
        assert Counter(event.stream for event in end.told(StreamDelivered)) == Counter(
            stream for owner, stream in sent if owner is end
        )


@pytest.mark.parametrize("link", WEATHER)
def test_a_conversation_on_one_stream_is_heard_as_it_was_said(link: Link) -> None:
    pair = Pair(seed=3, link=link).handshake()
    stream = pair.client.open()
    said = heard = b""
    for turn in range(30):
        for speaker, listener in ((pair.client, pair.server), (pair.server, pair.client)):
            word = content(turn, 1 + 37 * turn)
            before = len(listener.heard(stream))
            speaker.session.write(stream, word)
            pair.drive(until=lambda: len(listener.heard(stream)) >= before + len(word))  # noqa: B023 - called at once
            if speaker is pair.client:
                said += word
            else:
                heard += word
    assert (pair.server.heard(stream), pair.client.heard(stream)) == (said, heard)


@pytest.mark.parametrize("link", WEATHER)
def test_a_message_arrives_at_most_once_and_whole(link: Link) -> None:
    pair = Pair(seed=4, link=link).handshake()
    sent = [content(number, 1 + 11 * number) for number in range(100)]
    for data in sent:
        pair.client.session.send_datagram(data)
        pair.drive(0.02)
    pair.drive()
    arrived = [event.data for event in pair.server.told(DatagramReceived)]
    assert not Counter(arrived) - Counter(sent)
    assert len(arrived) >= 100 * (1 - pair.client.link.loss) - 20
    if not link.loss:
        assert arrived == sent


@pytest.mark.parametrize("link", WEATHER)
def test_every_ping_is_answered_once(link: Link) -> None:
    pair = Pair(seed=5, link=link).handshake()
    for token in range(50):
        pair.client.session.ping(token)
        pair.drive(0.05)
    pair.drive()
    answers = pair.client.told(PingAnswered)
    assert sorted(event.token for event in answers) == list(range(50))
    shortest = 2 * link.delay
    assert all(event.rtt >= shortest - 1e-6 for event in answers)


def test_many_streams_share_the_session() -> None:
    pair = Pair(seed=6, link=Link(loss=0.02, jitter=0.01)).handshake()
    streams = {pair.client.open(content(n, 5_000 + n), fin=True): n for n in range(200)}
    pair.drive(until=lambda: all(map(pair.server.ended, streams)))
    assert all(pair.server.heard(stream) == content(n, 5_000 + n) for stream, n in streams.items())


def test_a_slow_reader_holds_the_sender_back_and_loses_nothing() -> None:
    pair = Pair(seed=7, link=Link(loss=0.02)).handshake()
    data = content("slow", 5_000_000)
    pair.server.reading = False
    stream = pair.client.open(data, fin=True)
    pair.drive()
    held = pair.server.session.stats(now=pair.now).bytes_received
    assert held < 2_000_000
    for _ in range(400):
        pair.server.read_all(stream, 16_000)
        pair.drive(0.05)
    pair.server.reading = True
    pair.drive(until=lambda: pair.server.ended(stream))
    assert pair.server.heard(stream) == data


def test_readable_is_told_once_until_it_was_read() -> None:
    pair = Pair(seed=8).handshake()
    pair.server.reading = False
    stream = pair.client.open(b"one")
    for word in (b"two", b"three"):
        pair.drive(1)
        pair.client.session.write(stream, word)
    pair.drive()
    assert len(pair.server.told(StreamReadable)) == 1
    pair.server.read_all(stream)
    pair.client.session.write(stream, b"", fin=True)
    pair.drive()
    assert len(pair.server.told(StreamReadable)) == 2
    pair.server.read_all(stream)
    assert (pair.server.heard(stream), pair.server.ended(stream)) == (b"onetwothree", True)


def test_an_end_that_overtakes_its_bytes_waits_for_them() -> None:
    """The last bytes are lost, and the empty packet with the end after them is not."""
    pair = Pair().handshake()
    pair.client.link.lose_next = 1
    stream = pair.client.open(b"the bytes")
    pair.drive(0.001)
    pair.client.session.write(stream, b"", fin=True)
    pair.drive()
    assert (pair.server.heard(stream), pair.server.ended(stream)) == (b"the bytes", True)
    assert pair.client.told(StreamDelivered) == [StreamDelivered(pair.client.session.id, stream)]


def test_streams_that_were_given_up_leave_room_for_others() -> None:
    """They fill the session's window, and nobody read them."""
    pair = Pair().handshake()
    pair.server.reading = False
    given_up = [pair.client.open(bytes(2 << 20)) for _ in range(2)]
    pair.drive()
    for stream in given_up:
        pair.client.session.reset(stream)
    stream = pair.client.open(b"may I?", fin=True)
    pair.drive()
    pair.server.read_all(stream)
    assert pair.server.heard(stream) == b"may I?"


def test_streams_that_are_not_wanted_leave_room_for_others() -> None:
    pair = Pair().handshake()
    pair.server.reading = False
    unwanted = [pair.client.open(bytes(2 << 20)) for _ in range(2)]
    pair.drive()
    for stream in unwanted:
        pair.server.session.stop(stream, 300)
    stream = pair.client.open(b"may I?", fin=True)
    pair.drive()
    pair.server.read_all(stream)
    assert pair.server.heard(stream) == b"may I?"
    assert {event.stream: event.code for event in pair.client.told(StreamStopped)} == dict.fromkeys(unwanted, 300)


def test_a_full_stream_tells_when_it_has_room_again() -> None:
    pair = Pair().handshake()
    stream = pair.client.open()
    written = 0
    while room := pair.client.session.room(stream):
        pair.client.session.write(stream, bytes(min(room, 100_000)))
        written += min(room, 100_000)
    assert written == 2 << 20
    pair.drive(until=lambda: bool(pair.client.told(StreamWritable)), limit=5)
    assert pair.client.session.room(stream) > 0
    pair.drive()
    assert len(pair.client.told(StreamWritable)) == 1
    assert len(pair.server.heard(stream)) == written


def test_what_stops_is_told_once() -> None:
    """Though STOP and RESET come again and again, because their ACKs are lost."""
    pair = Pair().handshake()
    stream = pair.client.open(bytes(100))
    pair.drive()
    pair.server.session.stop(stream, 300)
    pair.client.link.lose_next = 3
    pair.drive()
    assert len(pair.sent_by(pair.server)) > 4
    assert [(event.stream, event.code) for event in pair.client.told(StreamStopped)] == [(stream, 300)]
    other = pair.client.open(bytes(100))
    pair.drive()
    pair.client.session.reset(other, 400)
    pair.server.link.lose_next = 3
    pair.drive()
    assert [(event.stream, event.code) for event in pair.server.told(StreamReset)][-1:] == [(other, 400)]
    assert len(pair.server.told(StreamReset)) == 2
