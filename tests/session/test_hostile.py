"""Arbitrary, mutated, truncated and repeated bytes: they never raise, never change anything, never get an answer."""

from __future__ import annotations

import random
from collections.abc import Callable
from copy import deepcopy
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawchat.values.address import Address
from clawchat.values.limits import BLOCK, MIN_PACKET
from tests.session.test_transfer import content
from tests.support.hostile import MovedError, ignores
from tests.support.link import Link
from tests.support.pair import End, Pair

FEW = settings(max_examples=60)
SOME = settings(max_examples=150)


@cache
def lonely() -> tuple[Pair, End]:
    """An endpoint that knows nobody."""
    pair = Pair()
    return pair, pair.server


@cache
def inviting() -> tuple[Pair, End]:
    """Three slots are armed, one of them is half open."""
    pair = Pair()
    for name in ("ann", "ben"):
        pair.invite(name=name)
    pair.join(pair.invite(name="cat"))
    pair.drive(until=lambda: bool(pair.sent_by(pair.server)))
    return pair, pair.server


@cache
def asking() -> tuple[Pair, End]:
    """A handshake was begun and not answered yet."""
    pair = Pair(link=Link(up=False))
    pair.join(pair.invite())
    pair.drive(3)
    return pair, pair.client


@cache
def talking() -> tuple[Pair, End]:
    """Two sessions live, and a slot is armed."""
    pair = Pair()
    guest = pair.add("guest", Address("203.0.113.10", 1010))
    pair.join(pair.invite(name="other"), guest)
    pair.handshake()
    pair.invite(name="free")
    pair.client.open(content("talk", 20_000))
    pair.server.open(content("back", 20_000))
    pair.drive()
    return pair, pair.server


WORLDS = [lonely, inviting, asking, talking]
World = Callable[[], tuple[Pair, End]]


@pytest.mark.parametrize("world", WORLDS)
@SOME
@given(data=st.binary(max_size=2000))
def test_arbitrary_bytes(world: World, data: bytes) -> None:
    pair, end = world()
    ignores(pair, end, data)


@pytest.mark.parametrize("world", WORLDS)
@SOME
@given(
    size=st.one_of(st.integers(1, 2000), st.sampled_from([16, 47, 48, 56, 256, 1200, 1440, 1472, 1473])),
    count=st.integers(1, 70),
    tail=st.integers(0, 2000),
    seed=st.integers(0, 1000),
)
def test_arbitrary_batches(world: World, size: int, count: int, tail: int, seed: int) -> None:
    pair, end = world()
    data = random.Random(seed).randbytes(min(size * count, 65_000) + tail % size)
    ignores(pair, end, data, size=size)


# --- what was valid before somebody touched it --------------------------------------------------------


def unheard(pair: Pair, end: End) -> bytes:
    """Return the datagram that an end sends next, which the network loses."""
    end.link.lose_next = 1
    pair.serve(end)
    return pair.sent_by(end)[-1].data


@cache
def hello() -> tuple[Pair, End, bytes]:
    pair = Pair()
    pair.join(pair.invite())
    return pair, pair.server, unheard(pair, pair.client)


@cache
def welcome() -> tuple[Pair, End, bytes]:
    pair = Pair()
    pair.join(pair.invite())
    pair.server.link.lose_next = 1
    pair.drive(until=lambda: bool(pair.sent_by(pair.server)))
    return pair, pair.client, pair.sent_by(pair.server)[-1].data


@cache
def small_packet() -> tuple[Pair, End, bytes]:
    pair = Pair().handshake()
    pair.drive()
    pair.client.session.ping()
    return pair, pair.server, unheard(pair, pair.client)


@cache
def full_packet() -> tuple[Pair, End, bytes]:
    pair = Pair().handshake()
    pair.client.session.send_datagram(bytes(1150))
    return pair, pair.server, unheard(pair, pair.client)


VALID = [hello, welcome, small_packet, full_packet]
Valid = Callable[[], tuple[Pair, End, bytes]]


@pytest.mark.parametrize("valid", VALID)
def test_every_single_bit_counts(valid: Valid) -> None:
    """And what every flip of a bit made a stranger's is taken when it comes as it was."""
    pair, end, datagram = valid()
    step = 1 if len(datagram) < 100 else 7
    for bit in range(0, 8 * len(datagram), step):
        flipped = bytearray(datagram)
        flipped[bit >> 3] ^= 1 << (bit & 7)
        pair.inject(end, bytes(flipped), pair.client.address)
    assert not list(end.endpoint.events())
    assert not end.endpoint.transmits(now=pair.now)
    assert sum(end.endpoint.drops.values()) >= len(range(0, 8 * len(datagram), step))
    before = deepcopy(end.endpoint.drops)
    with pytest.raises(MovedError):
        ignores(pair, end, datagram, source=pair.client.address)
    assert end.endpoint.drops == before
    valid.cache_clear()  # type: ignore[attr-defined]  # the world was used up


@pytest.mark.parametrize("valid", VALID)
@FEW
@given(place=st.integers(0, 1500), length=st.integers(0, 40), junk=st.binary(max_size=40))
def test_a_splice_is_no_datagram(valid: Valid, place: int, length: int, junk: bytes) -> None:
    pair, end, datagram = valid()
    place %= len(datagram)
    mutated = datagram[:place] + junk + datagram[place + length :]
    if mutated != datagram:
        ignores(pair, end, mutated, source=pair.client.address)


@pytest.mark.parametrize("valid", VALID)
def test_no_part_of_a_datagram_is_one(valid: Valid) -> None:
    pair, end, datagram = valid()
    for length in range(0, len(datagram), 1 if len(datagram) < 100 else 13):
        ignores(pair, end, datagram[:length], source=pair.client.address)
    ignores(pair, end, datagram + b"\0", source=pair.client.address)


@pytest.mark.parametrize("valid", VALID)
@FEW
@given(junk=st.binary(min_size=MIN_PACKET - BLOCK, max_size=1000), copies=st.integers(1, 20))
def test_a_header_that_was_overheard_opens_nothing(valid: Valid, junk: bytes, copies: int) -> None:
    """A spy on the path can repeat header blocks, which look everything up, before contents of his own."""
    pair, end, datagram = valid()
    forged = datagram[:BLOCK] + junk
    ignores(pair, end, forged * copies, size=len(forged), source=pair.client.address)


@pytest.mark.parametrize("seed", range(3))
def test_repeats_of_a_whole_conversation_change_nothing(seed: int) -> None:
    pair = Pair(seed=seed, link=Link(loss=0.05)).handshake()
    stream = pair.client.open(content(seed, 100_000), fin=True)
    pair.drive(until=lambda: pair.server.ended(stream))
    pair.drive()
    for here, there in ((pair.client, pair.server), (pair.server, pair.client)):
        heard = [sent for sent in pair.sent_by(here) if sent.arrivals]
        random.Random(seed).shuffle(heard)
        for sent in heard[:200]:
            ignores(pair, there, sent.data, source=here.address)


def test_a_datagram_of_one_session_is_nothing_to_another() -> None:
    """Not even when both belong to the same endpoint: keys and numbers are of one session and one direction."""
    pair, server = talking()
    packets = [sent for sent in pair.sent_by(server) if len(sent.data) < 1400][-20:]
    for sent in packets:
        ignores(pair, server, sent.data)
        other = next(end for end in pair.ends if end.address != sent.path.remote and end is not server)
        ignores(pair, other, sent.data)


# --- batches ------------------------------------------------------------------------------------------


@FEW
@given(
    seed=st.integers(0, 10_000),
    swaps=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=6),
    repeats=st.lists(st.integers(0, 59), max_size=4),
    flips=st.sets(st.integers(0, 59), max_size=4),
    cuts=st.lists(st.integers(1, 64), max_size=6),
)
def test_a_batch_is_taken_as_its_datagrams_are(
    seed: int, swaps: list[tuple[int, int]], repeats: list[int], flips: set[int], cuts: list[int]
) -> None:
    """Whatever is out of order, repeated or broken in it, and wherever the kernel cut it."""
    batch, single = Pair(seed=seed).handshake(), Pair(seed=seed).handshake()
    datagrams = sealed(batch)
    assert datagrams == sealed(single)
    for one, other in swaps:
        datagrams.insert(one % len(datagrams), datagrams.pop(other % len(datagrams)))
    for index in repeats:
        datagrams.insert(index, datagrams[-1 - index % len(datagrams)])
    for index in flips:
        broken = bytearray(datagrams[index % len(datagrams)])
        broken[-1 - index] ^= 0x10
        datagrams[index % len(datagrams)] = bytes(broken)
    start = 0
    for cut in [*cuts, *[64] * len(datagrams)]:
        together = datagrams[start : start + cut]
        if not together:
            break
        batch.inject(batch.server, b"".join(together), batch.client.address, size=len(together[0]))
        start += cut
    for datagram in datagrams:
        single.inject(single.server, datagram, single.client.address)
    assert batch.server.endpoint.drops == single.server.endpoint.drops
    assert batch.server.session.stats(now=batch.now) == single.server.session.stats(now=single.now)
    batch.serve(batch.server)
    single.serve(single.server)
    assert batch.server.heard(0) == single.server.heard(0)
    assert batch.datagrams[-1].data == single.datagrams[-1].data  # the same ACK


def sealed(pair: Pair) -> list[bytes]:
    """Return the full packets of one flight, which the network loses."""
    pair.drive()
    pair.client.link.up = False
    pair.client.open(content("flight", 60_000))
    pair.serve(pair.client)
    flight = [sent.data for sent in pair.sent_by(pair.client) if not sent.arrivals]
    longest = max(map(len, flight))
    return [data for data in flight if len(data) == longest]
