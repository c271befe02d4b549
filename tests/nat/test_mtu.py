"""The search for the largest datagram: down from the top, three tries a size, and again after a while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.mtu import MtuProber
from clawchat.values.limits import (
    BASE_DATAGRAM,
    BLACK_HOLE_PAUSE,
    MAX_DATAGRAM,
    MAX_DATAGRAM_IPV6,
    MTU_BLACK_HOLE_LOSSES,
    MTU_PROBE_TIMEOUT,
    MTU_PROBE_TRIES,
    MTU_PROBES,
    MTU_RAISE_INTERVAL,
)
from clawchat.values.timers import NEVER


def search(prober: MtuProber, carries: int, *, now: float) -> list[int]:
    """Answer the probes as a path would that carries so much; return the sizes that were tried."""
    tried = []
    while prober.probe_at <= now:
        size = prober.candidate
        tried.append(size)
        prober.on_sent(timeout=0.1, now=now)
        assert prober.probe_at == NEVER
        if size <= carries:
            prober.on_acked(size, now=now)
        else:
            now = prober.deadline
            prober.on_timeout(now=now)
    return tried


def test_it_starts_small_and_asks_for_the_most() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    assert (prober.size, prober.candidate) == (BASE_DATAGRAM, MTU_PROBES[-1])
    assert search(prober, MAX_DATAGRAM, now=5.0) == [MAX_DATAGRAM]
    assert (prober.size, prober.probe_at, prober.deadline) == (MAX_DATAGRAM, NEVER, NEVER)


def test_each_size_has_a_few_tries() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    tried = search(prober, BASE_DATAGRAM, now=5.0)
    assert tried == [size for size in reversed(MTU_PROBES) for _ in range(MTU_PROBE_TRIES)]
    assert prober.size == BASE_DATAGRAM


@given(st.integers(BASE_DATAGRAM, MAX_DATAGRAM), st.sampled_from([MAX_DATAGRAM, MAX_DATAGRAM_IPV6]))
def test_the_search_ends_at_what_the_path_carries(carries: int, limit: int) -> None:
    prober = MtuProber(BASE_DATAGRAM, limit)
    tried = search(prober, carries, now=5.0)
    assert max(tried) <= limit
    assert prober.size == max((size for size in MTU_PROBES if size <= min(carries, limit)), default=BASE_DATAGRAM)


def test_a_probe_is_not_given_up_too_soon() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    prober.on_sent(timeout=0.01, now=5.0)
    assert prober.deadline == 5.0 + MTU_PROBE_TIMEOUT
    prober.on_timeout(now=6.0)
    prober.on_sent(timeout=3.0, now=6.0)
    assert prober.deadline == 9.0


def test_larger_sizes_are_tried_again_later() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    search(prober, 1300, now=5.0)
    ended = prober.probe_at - MTU_RAISE_INTERVAL
    assert ended < 60
    assert search(prober, MAX_DATAGRAM, now=prober.probe_at) == [MAX_DATAGRAM]
    assert prober.size == MAX_DATAGRAM


def test_a_black_hole_leads_back_to_the_base_and_to_a_pause() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    search(prober, MAX_DATAGRAM, now=5.0)
    prober.fall_back(now=10.0)
    assert (prober.size, prober.deadline, prober.probe_at) == (BASE_DATAGRAM, NEVER, 10.0 + BLACK_HOLE_PAUSE)
    assert search(prober, 1300, now=prober.probe_at)[0] == MAX_DATAGRAM
    assert prober.size == 1280


def test_larger_datagrams_that_vanish_lead_back_to_the_base() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    search(prober, MAX_DATAGRAM, now=5.0)
    told = [prober.on_vanished(now=10.0) for _ in range(MTU_BLACK_HOLE_LOSSES)]
    assert told == [False] * (MTU_BLACK_HOLE_LOSSES - 1) + [True]
    assert (prober.size, prober.vanished, prober.probe_at) == (BASE_DATAGRAM, 0, 10.0 + BLACK_HOLE_PAUSE)


def test_a_late_answer_counts() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    prober.on_sent(timeout=0.1, now=5.0)
    prober.on_timeout(now=6.0)
    prober.on_acked(MAX_DATAGRAM, now=6.1)
    assert (prober.size, prober.deadline) == (MAX_DATAGRAM, NEVER)


def test_an_answer_for_a_smaller_size_takes_nothing_back() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    search(prober, MAX_DATAGRAM, now=5.0)
    prober.on_acked(1280, now=6.0)
    assert prober.size == MAX_DATAGRAM


def test_another_path_is_measured_from_the_start() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM)
    search(prober, MAX_DATAGRAM, now=5.0)
    prober.on_sent(timeout=1.0, now=5.0)
    prober.restart(BASE_DATAGRAM, MAX_DATAGRAM_IPV6)
    assert (prober.size, prober.probe_at, prober.candidate) == (BASE_DATAGRAM, 0.0, MAX_DATAGRAM_IPV6)


def test_a_search_waits_for_its_time() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM, 7.0)
    assert (prober.probe_at, prober.deadline) == (7.0, 7.0)
    prober.on_timeout(now=7.0)
    assert (prober.probe_at, prober.deadline) == (7.0, NEVER)
    assert search(prober, 1300, now=7.0)[0] == MAX_DATAGRAM


def test_a_search_that_only_waits_for_its_time_may_hurry() -> None:
    prober = MtuProber(BASE_DATAGRAM, MAX_DATAGRAM, 7.0)
    prober.hurry(now=5.0)
    assert search(prober, 1300, now=5.0)[0] == MAX_DATAGRAM
    later = prober.probe_at
    prober.hurry(now=6.0)
    assert prober.probe_at == later


def test_there_is_no_hurry_where_nothing_is_to_be_found() -> None:
    prober = MtuProber(MAX_DATAGRAM, MAX_DATAGRAM)
    prober.hurry(now=5.0)
    assert (prober.probe_at, prober.deadline) == (NEVER, NEVER)


@pytest.mark.parametrize("size", [BASE_DATAGRAM, *MTU_PROBES, MAX_DATAGRAM_IPV6])
def test_sizes_are_whole_blocks(size: int) -> None:
    assert size % 16 == 0
