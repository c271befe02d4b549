"""The simulated network itself: it loses, delays and coalesces as it says, and notices an end that spins."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.limits import MAX_BATCH_BYTES, MAX_SEGMENTS
from tests.support.link import Link, batches
from tests.support.pair import START, Pair


@given(st.lists(st.sampled_from([1, 48, 1200, 1472]), max_size=200), st.integers(0, 100))
def test_datagrams_are_coalesced_as_the_kernel_does(sizes: list[int], seed: int) -> None:
    datagrams = [random.Random(seed + size).randbytes(size) for size in sizes]
    apart: list[bytes] = []
    for batch, size in batches(datagrams):
        pieces = [batch[at : at + size] for at in range(0, len(batch), size)]
        assert len(pieces) <= MAX_SEGMENTS
        assert len(batch) <= max(size, MAX_BATCH_BYTES)
        assert all(len(piece) == size for piece in pieces[:-1])
        apart += pieces
    assert apart == datagrams


def test_a_full_flight_is_few_batches() -> None:
    assert len(list(batches([bytes(1200)] * 54))) == 1
    assert [size for _, size in batches([bytes(1200), bytes(1200), bytes(48), bytes(48), bytes(1200)])] == [
        1200,
        48,
        1200,
    ]


def fates(link: Link, count: int = 10_000) -> list[tuple[float, ...]]:
    chance = random.Random(1)
    return [link.arrivals(1200, now=5.0, chance=chance) for _ in range(count)]


def test_a_link_loses_doubles_and_delays_as_much_as_it_says() -> None:
    found = fates(Link(delay=0.1, jitter=0.2, loss=0.3, duplicate=0.1))
    assert sum(not arrivals for arrivals in found) == pytest.approx(3000, rel=0.1)
    assert sum(len(arrivals) == 2 for arrivals in found) == pytest.approx(700, rel=0.2)
    times = [arrival for arrivals in found for arrival in arrivals]
    assert 5.1 <= min(times) < max(times) <= 5.3


@pytest.mark.parametrize("link", [Link(up=False), Link(mtu=1199), Link(loss=1.0), Link(lose_next=100)])
def test_what_does_not_pass_never_arrives(link: Link) -> None:
    assert fates(link, 100) == [()] * 100


def test_a_receiver_that_sleeps_takes_what_came_meanwhile() -> None:
    assert [Link(grain=0.5).wake(at) for at in (1.0, 1.2, 1.5)] == [1.0, 1.5, 1.5]


def test_a_quiet_network_lets_little_time_pass() -> None:
    pair = Pair().handshake()
    pair.drive()
    assert pair.now - START < 10
    before = pair.now
    pair.drive(3600)
    assert pair.now == before + 3600


def test_what_never_happens_fails_with_a_summary() -> None:
    pair = Pair().handshake()
    with pytest.raises(AssertionError, match=r"(?s)not so after 5 s: at .*client: due"):
        pair.drive(until=lambda: False, limit=5)


class Restless(Endpoint):
    """Want to act at once, always."""

    def next_timeout(self) -> float | None:
        return START


def test_an_end_that_never_stops_is_noticed() -> None:
    pair = Pair()
    pair.place("restless", Address("203.0.113.1", 1), Restless)
    with pytest.raises(AssertionError, match="can't stop"):
        pair.drive(1)
