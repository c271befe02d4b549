from __future__ import annotations

import pytest

from clawchat.nat.depth import Depth, prime_ttl


@pytest.mark.parametrize(
    ("routers", "hops"),
    [
        ({}, None),
        ({1: "192.168.1.1"}, None),
        ({1: "192.168.1.1", 2: "203.0.113.1"}, 2),
        ({1: "192.168.1.1", 2: "100.64.0.1", 3: "10.1.2.3", 4: "203.0.113.1"}, 4),
        ({2: "203.0.113.1"}, 2),
        ({1: "198.51.100.1", 2: "203.0.113.1"}, 1),
        ({1: "192.168.1.1", 3: "203.0.113.1", 2: "203.0.113.9"}, 2),
        ({1: "192.168.1.1", 2: "nonsense", 3: "203.0.113.1"}, 3),
        ({9: "203.0.113.1"}, None),
        ({1: "fe80::1", 2: "2001:db8::1"}, 2),
    ],
)
def test_the_first_public_router_stands_behind_our_nats(routers: dict[int, str], hops: int | None) -> None:
    depth = Depth()
    for ttl, offender in routers.items():
        depth.expired(ttl, offender)
    assert depth.hops == hops


def test_a_destination_that_was_reached_is_behind_them_as_well() -> None:
    depth = Depth()
    depth.expired(1, "192.168.1.1")
    depth.reached(4)
    depth.reached(3)
    assert depth.hops == 3
    depth.expired(2, "203.0.113.1")
    assert depth.hops == 2


def test_the_first_word_on_a_ttl_counts() -> None:
    depth = Depth()
    depth.expired(2, "10.0.0.1")
    depth.expired(2, "203.0.113.1")
    assert depth.hops is None
    assert depth.routers == {2: "10.0.0.1"}


def test_it_is_settled_when_every_nearer_router_is_inside() -> None:
    depth = Depth()
    depth.expired(3, "203.0.113.1")
    assert not depth.settled
    depth.expired(1, "192.168.1.1")
    assert not depth.settled
    depth.expired(2, "10.0.0.1")
    assert depth.settled


@pytest.mark.parametrize(("hops", "ttl"), [(None, 5), (1, 2), (2, 3), (7, 8), (8, 8)])
def test_a_prime_goes_one_hop_further_and_never_far(hops: int | None, ttl: int) -> None:
    assert prime_ttl(hops) == ttl
