"""Datagrams grow to what the path carries, and shrink when it carries less."""

from __future__ import annotations

import pytest

from clawchat.values.address import Address
from clawchat.values.events import DatagramReceived
from clawchat.values.limits import BASE_DATAGRAM, BLACK_HOLE_PAUSE, MTU_PROBES, MTU_RAISE_INTERVAL, MTU_WAIT
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import Pair

IPV6 = (Address("2001:db8::9", 50_009), Address("2001:db8:1::1", 50_001))
IPV6_ETHERNET = 1452


def size_of(pair: Pair) -> int:
    return pair.client.session.stats(now=pair.now).datagram_size


@pytest.mark.parametrize("mtu", [BASE_DATAGRAM, 1279, *MTU_PROBES])
def test_probing_ends_at_what_the_link_carries(mtu: int) -> None:
    pair = Pair(link=Link(mtu=mtu)).handshake()
    pair.server.open(b"something to measure the path with")
    pair.drive(60)
    expected = max((size for size in MTU_PROBES if size <= mtu), default=BASE_DATAGRAM)
    assert size_of(pair) == expected
    assert pair.server.session.stats(now=pair.now).datagram_size == expected
    begun = len(pair.datagrams)
    data = content("full size", 100_000)
    stream = pair.client.open(data, fin=True)
    pair.drive(until=lambda: pair.server.ended(stream), limit=10)
    assert pair.server.heard(stream) == data
    assert max(len(sent.data) for sent in pair.datagrams[begun:]) == expected
    assert all(sent.arrivals for sent in pair.datagrams[begun:])


def test_nothing_is_searched_for_a_few_words() -> None:
    pair = Pair().handshake()
    pair.client.open(b"a few words", fin=True)
    pair.drive(0.9 * MTU_WAIT)
    assert size_of(pair) == BASE_DATAGRAM
    assert max(len(sent.data) for sent in pair.datagrams) <= BASE_DATAGRAM
    pair.drive(MTU_WAIT)
    assert size_of(pair) == MTU_PROBES[-1]


def test_the_search_begins_at_once_when_more_waits_than_one_datagram_carries() -> None:
    pair = Pair().handshake()
    pair.client.open(content("bulk", 100_000), fin=True)
    pair.drive(0.5 * MTU_WAIT)
    assert size_of(pair) == MTU_PROBES[-1]


def test_a_loss_does_not_make_datagrams_small_for_long() -> None:
    pair = Pair(seed=5, link=Link(loss=0.1)).handshake()
    pair.drive(30)
    assert size_of(pair) == MTU_PROBES[-1]


def test_no_datagram_over_ipv6_is_longer_than_its_path_carries() -> None:
    pair = Pair(ends=IPV6, link=Link(mtu=IPV6_ETHERNET)).handshake()
    pair.drive(30)
    data = content("ipv6", 300_001)
    stream = pair.client.open(data, fin=True)
    for size in range(1000, 1500):
        if size <= size_of(pair) - 35:
            pair.client.session.send_datagram(bytes(size))
        pair.drive(0.001)
    pair.drive(until=lambda: pair.server.ended(stream), limit=10)
    assert pair.server.heard(stream) == data
    assert max(len(sent.data) for sent in pair.datagrams) <= IPV6_ETHERNET
    assert size_of(pair) > BASE_DATAGRAM


def test_larger_sizes_are_tried_again_after_a_while() -> None:
    pair = Pair(link=Link(mtu=1300)).handshake()
    pair.drive(60)
    assert size_of(pair) == 1280
    for end in pair.ends:
        end.link.mtu = 1472
    pair.drive(MTU_RAISE_INTERVAL + 60)
    assert size_of(pair) == 1472


@pytest.mark.parametrize("chatty", [False, True])
def test_a_path_that_shrinks_is_survived(*, chatty: bool) -> None:
    """A black hole: large datagrams vanish without a word, small ones pass."""
    pair = Pair().handshake()
    pair.drive(5)
    assert size_of(pair) == 1472
    data = content("black hole", 1_000_000)
    stream = pair.client.open(data, fin=True)
    pair.drive(0.1)
    for end in pair.ends:
        end.link.mtu = 1250
    shrunk = pair.now
    while not pair.server.ended(stream) and pair.now < shrunk + 30:
        if chatty:
            pair.client.session.ping()
            pair.client.session.send_datagram(b"still here")
        pair.drive(0.1)
    assert pair.server.heard(stream) == data
    assert size_of(pair) == BASE_DATAGRAM


def test_after_an_outage_the_path_is_probed_anew() -> None:
    pair = Pair().handshake()
    pair.drive(5)
    stream = pair.client.open(content("outage", 500_000), fin=True)
    pair.drive(0.05)
    pair.outage()
    pair.drive(10)
    pair.outage(up=True)
    pair.drive(until=lambda: pair.server.ended(stream), limit=30)
    pair.drive(BLACK_HOLE_PAUSE + 30)
    assert size_of(pair) == 1472


def test_a_message_that_no_longer_fits_is_dropped_and_nothing_else_with_it() -> None:
    pair = Pair().handshake()
    pair.drive(5)
    pair.client.link.mtu = BASE_DATAGRAM
    pair.client.open(bytes(2_000_000))
    pair.drive(0.01)
    for size in (*[1400] * 8, 20, 1400, 30):
        pair.client.session.send_datagram(bytes(size))
    pair.drive(30)
    assert [len(event.data) for event in pair.server.told(DatagramReceived)] == [20, 30]


@pytest.mark.parametrize("every", [0.02, 0.05, 0.2])
def test_one_large_message_among_many_small_ones_gets_through(every: float) -> None:
    """Small packets arrive all the time, so that nothing but the large one is missing."""
    pair = Pair().handshake()
    stream = pair.client.open(b"a first word")
    pair.drive(5)
    for end in pair.ends:
        end.link.mtu = 1250
    pair.client.session.write(stream, bytes(1400), fin=True)
    shrunk = pair.now
    while not pair.server.ended(stream) and pair.now < shrunk + 30:
        pair.client.session.ping()
        pair.drive(every)
    assert pair.now - shrunk < 3
    assert size_of(pair) == BASE_DATAGRAM
