"""How a session ends: everything said first or at once, and the peer learns of it though packets are lost."""

from __future__ import annotations

import pytest

from clawchat.session.state import State
from clawchat.values.errors import LocallyClosed, PeerClosed, UsageError
from clawchat.values.events import DatagramReceived, SessionEnded, StreamDelivered
from clawchat.values.limits import FLUSH_TIMEOUT
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import End, Pair


def ending(end: End) -> str:
    (ended,) = end.told(SessionEnded)
    match ended.error:
        case PeerClosed(close_code=code, reason=reason):
            return f"peer {code} {reason}"
        case error:
            return type(error).__name__


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("closer", ["client", "server"])
def test_a_graceful_close_says_everything_first(closer: str, loss: float) -> None:
    pair = Pair(seed=2, link=Link(loss=loss)).handshake()
    here, there = (pair.client, pair.server) if closer == "client" else (pair.server, pair.client)
    data = content("last words", 300_000)
    stream = here.open(data)
    here.session.close(300, "bye", now=pair.now)
    pair.drive()
    assert there.heard(stream) == data
    assert (ending(here), ending(there)) == ("LocallyClosed", "peer 300 bye")
    assert not here.endpoint.sessions
    assert not there.endpoint.sessions


def test_a_close_at_once_drops_what_waits() -> None:
    pair = Pair().handshake()
    stream = pair.client.open(bytes(5_000_000))
    pair.drive(0.05)
    pair.client.session.close(now=pair.now, at_once=True)
    pair.drive()
    assert len(pair.server.heard(stream)) < 5_000_000
    assert (ending(pair.client), ending(pair.server)) == ("LocallyClosed", "peer 0 ")


@pytest.mark.parametrize("lost", [1, 2])
def test_the_peer_hears_of_it_though_close_is_lost(lost: int) -> None:
    pair = Pair().handshake()
    pair.client.session.close(7 + 256, "lost", now=pair.now)
    pair.client.link.lose_next = lost
    pair.drive(1)
    assert ending(pair.server) == "peer 263 lost"


def test_a_close_that_was_missed_answers_what_still_comes() -> None:
    pair = Pair(link=Link(delay=0.3)).handshake()
    pair.drive()
    pair.client.session.close(now=pair.now)
    pair.client.link.lose_next = 1
    stream = pair.server.open(content("late", 5000))
    pair.drive(until=lambda: not pair.server.alive(), limit=2)
    assert pair.client.heard(stream) == b""


def test_both_may_close_at_once() -> None:
    pair = Pair().handshake()
    pair.drive()
    said = len(pair.datagrams)
    pair.client.session.close(300, "me", now=pair.now)
    pair.server.session.close(400, "no, me", now=pair.now)
    pair.drive()
    assert (ending(pair.client), ending(pair.server)) == ("LocallyClosed", "LocallyClosed")
    assert len(pair.datagrams) - said <= 6


def test_nothing_is_sent_after_the_end() -> None:
    pair = Pair().handshake()
    pair.client.session.close(now=pair.now)
    pair.drive()
    said = len(pair.datagrams)
    pair.drive(400)
    assert len(pair.datagrams) == said
    assert [end.endpoint.next_timeout() for end in pair.ends] == [None, None]


def test_a_peer_that_is_gone_does_not_keep_a_close_waiting() -> None:
    pair = Pair().handshake()
    pair.drive()
    pair.client.open(b"never arrives")
    pair.outage()
    pair.client.session.close(now=pair.now)
    begun = pair.now
    pair.drive(until=lambda: not pair.client.alive())
    assert FLUSH_TIMEOUT <= pair.now - begun < FLUSH_TIMEOUT + 3
    assert ending(pair.client) == "LocallyClosed"


def test_a_stream_that_was_given_up_does_not_keep_a_close_waiting() -> None:
    pair = Pair().handshake()
    given_up = pair.client.open(bytes(100))
    pair.client.session.reset(given_up)
    stream = pair.client.open(b"important")
    pair.client.session.close(now=pair.now)
    begun = pair.now
    pair.drive(until=lambda: not pair.server.alive())
    assert pair.now - begun < 1
    assert pair.server.heard(stream) == b"important"


def test_a_message_sent_before_a_close_goes_out_first() -> None:
    pair = Pair().handshake()
    pair.client.session.send_datagram(b"goodbye")
    pair.client.session.close(now=pair.now)
    pair.drive()
    assert pair.server.told(DatagramReceived) == [DatagramReceived(pair.server.session.id, b"goodbye")]


def test_what_is_said_while_closing_is_refused_but_still_heard() -> None:
    pair = Pair(link=Link(delay=0.2)).handshake()
    pair.drive()
    stream = pair.client.open(b"question", fin=True)
    pair.client.session.close(now=pair.now)
    assert pair.client.session.state is State.FLUSHING
    with pytest.raises(UsageError):
        pair.client.session.open_stream()
    with pytest.raises(UsageError):
        pair.client.session.write(stream, b"more")
    pair.drive()
    assert pair.server.heard(stream) == b"question"
    assert pair.client.told(StreamDelivered)


def test_a_session_that_is_over_can_still_be_read() -> None:
    pair = Pair().handshake()
    pair.server.reading = False
    stream = pair.client.open(b"read me later", fin=True)
    pair.drive()
    pair.client.session.close(now=pair.now)
    pair.drive()
    assert not pair.server.alive()
    pair.server.read_all(stream)
    assert pair.server.heard(stream) == b"read me later"


def test_a_half_open_session_can_be_closed_too() -> None:
    pair = Pair(link=Link(delay=0.1))
    pair.join(pair.invite())
    pair.drive(0.1)
    pair.server.endpoint.close_all(now=pair.now, code=8, reason="shutdown")
    pair.drive(30)
    assert not pair.server.endpoint.sessions
    assert not pair.server.events


def test_closing_all_ends_every_session() -> None:
    pair = Pair().handshake()
    pair.server.endpoint.close_all(now=pair.now, code=8, reason="shutdown")
    pair.drive()
    assert ending(pair.client) == "peer 8 shutdown"
    assert isinstance(pair.server.told(SessionEnded)[0].error, LocallyClosed)


def test_a_reason_is_cut_to_what_fits() -> None:
    pair = Pair().handshake()
    pair.client.session.close(300, "é" * 1000, now=pair.now)
    pair.drive()
    assert ending(pair.server) == "peer 300 " + "é" * 128


def test_an_endpoint_that_closes_lets_nobody_join() -> None:
    pair = Pair()
    pair.join(pair.invite())
    pair.server.endpoint.close_all(now=pair.now, code=0, reason="the end")
    pair.drive(5.0)
    assert not pair.server.endpoint.sessions
    assert not pair.sent_by(pair.server)
    assert pair.server.endpoint.drops["unknown"] > 0
