"""Boxes, and who gets what is sent to them."""

from __future__ import annotations

from itertools import count

import pytest

from clawchat.services.relay import MAX_BOXES, Delivery, RelayHub

BOX = bytes(15) + b"\xff"


@pytest.fixture
def hub() -> RelayHub:
    numbers = count(1)
    hub = RelayHub(lambda size: next(numbers).to_bytes(size, "big"), rate=1000.0, burst=2000)
    for member in (1, 2, 3):
        hub.join(member, now=0.0)
    return hub


def own_box(member: int) -> bytes:
    return member.to_bytes(16, "big")


def box(number: int) -> bytes:
    return b"box" + number.to_bytes(13, "big")


def test_a_datagram_goes_to_the_box_and_says_which_box_it_came_from(hub: RelayHub) -> None:
    assert hub.register(1, BOX)
    assert hub.forward(2, BOX, b"hello", now=0.0) == Delivery(1, own_box(2), b"hello")
    assert hub.forward(1, own_box(2), b"welcome", now=0.0) == Delivery(2, own_box(1), b"welcome")
    assert hub.forward(2, box(9), b"nobody", now=0.0) is None
    assert hub.figures().unknown == 1


def test_the_last_to_register_a_box_has_it_so_that_a_server_can_come_back(hub: RelayHub) -> None:
    assert hub.register(1, BOX)
    assert hub.register(3, BOX)
    found = hub.forward(2, BOX, b"hello", now=0.0)
    assert found is not None
    assert found.member == 3
    hub.leave(1)
    assert hub.forward(2, BOX, b"hello", now=0.0) is not None


def test_nobody_takes_a_members_own_box(hub: RelayHub) -> None:
    assert not hub.register(2, own_box(1))
    assert not hub.register(1, own_box(1))
    found = hub.forward(3, own_box(1), b"x", now=0.0)
    assert found is not None
    assert found.member == 1


def test_a_member_with_too_many_boxes_loses_the_oldest(hub: RelayHub) -> None:
    for number in range(MAX_BOXES):
        assert hub.register(1, box(number))
    assert hub.register(1, box(0)), "again: now it is the newest"
    assert hub.register(1, BOX)
    assert hub.forward(2, box(1), b"x", now=0.0) is None
    assert hub.forward(2, box(0), b"x", now=0.0) is not None
    assert hub.figures().boxes == MAX_BOXES + 3


def test_a_member_that_left_has_no_boxes_and_sends_nothing(hub: RelayHub) -> None:
    hub.register(1, BOX)
    hub.leave(1)
    assert hub.forward(2, BOX, b"x", now=0.0) is None
    assert hub.forward(1, own_box(2), b"x", now=0.0) is None
    assert not hub.register(1, BOX)
    assert hub.figures().members == 2


def test_each_member_has_a_quota_of_its_own_that_fills_again(hub: RelayHub) -> None:
    assert hub.forward(1, own_box(2), bytes(2000), now=0.0) is not None
    assert hub.forward(1, own_box(2), bytes(1), now=0.0) is None
    assert hub.forward(3, own_box(2), bytes(2000), now=0.0) is not None
    assert hub.forward(1, own_box(2), bytes(1000), now=1.0) is not None
    assert hub.figures().over_quota == 1
