"""Silence, outages and death: a session outlives everything shorter than the dead-peer time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from clawchat.values.errors import TimedOut
from clawchat.values.events import BoxRegistered, SessionEnded
from clawchat.values.limits import DEAD_PEER, JITTER, KEEPALIVE
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import Pair

HOUR = 3600.0


def test_a_silent_session_lives_for_hours() -> None:
    pair = Pair(link=Link(loss=0.02)).handshake()
    pair.drive(6 * HOUR)
    assert pair.client.alive()
    assert pair.server.alive()
    stream = pair.server.open(b"good morning")
    pair.drive()
    assert pair.client.heard(stream) == b"good morning"


def test_keepalives_are_as_far_apart_as_they_may_be() -> None:
    pair = Pair().handshake()
    pair.drive()
    for end in pair.ends:
        begun = len(pair.sent_by(end))
        pair.drive(HOUR / 2)
        times = [sent.at for sent in pair.sent_by(end)[begun:]]
        gaps = [after - before for before, after in pairwise(times)]
        assert max(gaps) <= KEEPALIVE * (1 + JITTER) + 0.1
        assert len({round(gap, 3) for gap in gaps if gap > 1}) > 20


def test_a_dead_peer_ends_the_session_on_time() -> None:
    pair = Pair().handshake()
    pair.drive()
    pair.outage()
    pair.client.open(b"hello?")
    heard = max(sent.arrivals[0] for sent in pair.sent_by(pair.server) if sent.arrivals)
    pair.drive(DEAD_PEER + 10)
    for end in pair.ends:
        (ended,) = end.told(SessionEnded)
        assert isinstance(ended.error, TimedOut)
        assert not end.alive()
        assert end.endpoint.next_timeout() is None
    died = next(told.at for told in pair.trace if told.end == "client" and "SessionEnded" in told.event)
    assert died == pytest.approx(heard + DEAD_PEER, abs=0.001)


@pytest.mark.parametrize("seconds", [0.3, 10.0, 100.0, 170.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_an_outage_in_mid_transfer_loses_nothing(seconds: float, seed: int) -> None:
    pair = Pair(seed=seed, link=Link(loss=0.01)).handshake()
    up, down = content("up", 400_000), content("down", 300_000)
    there = pair.client.open(up, fin=True)
    back = pair.server.open(down, fin=True)
    pair.drive(0.15)
    assert not pair.server.ended(there)
    pair.outage()
    said = len(pair.datagrams)
    pair.drive(seconds)
    assert len(pair.datagrams) - said < 250 + 10 * seconds
    pair.outage(up=True)
    resumed = pair.now
    word = len(pair.server.heard(there)) + len(pair.client.heard(back))
    pair.drive(until=lambda: len(pair.server.heard(there)) + len(pair.client.heard(back)) > word, limit=5)
    assert pair.now - resumed < 3
    pair.drive(until=lambda: pair.server.ended(there) and pair.client.ended(back), limit=60)
    assert (pair.server.heard(there), pair.client.heard(back)) == (up, down)


def test_what_is_told_again_in_an_outage_is_told_once_in_each_packet() -> None:
    pair = Pair(seed=5).handshake().drive(1)
    pair.outage()
    pair.client.session.register(bytes(range(16)))
    before = len(pair.datagrams)
    pair.drive(20)
    told = [len(sent.data) for sent in pair.datagrams[before:] if sent.sender == "client"]
    assert len(told) > 4
    assert max(told) <= 64
    pair.outage(up=True)
    pair.drive(5)
    assert {event.box for event in pair.server.told(BoxRegistered)} == {bytes(range(16))}


def test_a_one_way_outage_is_survived() -> None:
    pair = Pair().handshake()
    data = content("up", 200_000)
    pair.server.link.up = False
    stream = pair.client.open(data, fin=True)
    pair.drive(60)
    pair.server.link.up = True
    pair.drive(until=lambda: pair.server.ended(stream), limit=60)
    assert pair.server.heard(stream) == data


def test_a_changed_network_is_shown_to_every_peer_at_once() -> None:
    pair = Pair().handshake()
    pair.drive()
    said = len(pair.sent_by(pair.client))
    pair.client.endpoint.network_changed(now=pair.now)
    pair.drive(0.0)
    assert len(pair.sent_by(pair.client)) == said + 1
