"""What an ACK reports, and when it is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.transport.acks import PACKETS_PER_ACK, PROMPT_PACKETS, AckMachine
from clawchat.values.limits import ACK_DELAY_UNIT, MAX_ACK_RANGES, MAX_DELAY_ACK
from clawchat.values.timers import NEVER
from clawchat.wire.decoding import decode
from clawchat.wire.frames import Ack


def received(acks: AckMachine, *numbers: int, eliciting: bool = True, now: float = 0.0) -> AckMachine:
    for number in numbers:
        acks.on_received(number, 1, eliciting=eliciting, now=now)
    return acks


def reported(acks: AckMachine, now: float = 0.0) -> Ack:
    (frame,) = decode(acks.frame(now=now))
    assert isinstance(frame, Ack)
    return frame


def test_nothing_is_due_at_first() -> None:
    acks = AckMachine()
    assert (acks.deadline, acks.waiting, acks.largest) == (NEVER, 0, -1)


def test_one_packet_is_acknowledged_after_a_while() -> None:
    acks = received(AckMachine(), 0, now=1.0)
    assert acks.deadline == 1.0 + MAX_DELAY_ACK
    assert not acks.due(now=1.0)
    assert acks.due(now=1.0 + MAX_DELAY_ACK)


def test_several_packets_are_acknowledged_at_once() -> None:
    acks = received(AckMachine(), *range(PACKETS_PER_ACK), now=1.0)
    assert acks.due(now=1.0)
    assert reported(acks, now=1.0).ranges == ((0, PACKETS_PER_ACK - 1),)
    assert (acks.deadline, acks.waiting) == (NEVER, 0)


def test_a_batch_is_acknowledged_at_once() -> None:
    acks = AckMachine()
    acks.on_received(0, 40, eliciting=True, now=1.0)
    assert acks.due(now=1.0)
    assert reported(acks, now=1.0).ranges == ((0, 39),)


@pytest.mark.parametrize("numbers", [(1,), (0, 2), (3, 2)])
def test_a_gap_is_reported_at_once(numbers: tuple[int, ...]) -> None:
    acks = AckMachine()
    received(acks, numbers[0])
    acks.frame(now=0.0)
    received(acks, *numbers[1:], now=1.0)
    received(acks, 9, now=1.0)
    assert acks.due(now=1.0)


def test_packets_after_a_gap_are_acknowledged_one_by_one_for_a_while() -> None:
    acks = received(AckMachine(), 0, 2)
    for number in range(3, 3 + PROMPT_PACKETS):
        acks.frame(now=1.0)
        received(acks, number, now=1.0)
        assert acks.due(now=1.0)
    acks.frame(now=1.0)
    received(acks, 3 + PROMPT_PACKETS, now=2.0)
    assert not acks.due(now=2.0)


def test_packets_that_ask_for_nothing_are_not_answered_but_reported() -> None:
    acks = received(AckMachine(), 0, 1, 2, eliciting=False)
    assert (acks.deadline, acks.waiting) == (NEVER, 0)
    received(acks, 3)
    assert reported(acks).ranges == ((0, 3),)


def test_the_delay_is_that_of_the_largest() -> None:
    acks = received(AckMachine(), 0, 1, now=1.0)
    received(acks, 5, now=2.0)
    received(acks, 4, now=2.4)
    assert reported(acks, now=2.5).delay == pytest.approx(0.5 / ACK_DELAY_UNIT, abs=1)


def test_the_newest_ranges_are_reported_and_only_so_many() -> None:
    acks = received(AckMachine(), *range(0, 4 * MAX_ACK_RANGES, 2))
    ranges = reported(acks).ranges
    assert len(ranges) == MAX_ACK_RANGES
    newest = 4 * MAX_ACK_RANGES - 2
    assert ranges == tuple((number, number) for number in range(newest, newest - 2 * MAX_ACK_RANGES, -2))


def test_what_the_peer_knows_is_reported_no_more() -> None:
    acks = received(AckMachine(), 0, 1, 4, 5, 9)
    reported(acks)
    received(acks, 10)
    acks.on_ack_acked(9)
    assert reported(acks).ranges == ((9, 10),)


def test_the_last_packet_is_always_reported() -> None:
    acks = received(AckMachine(), 0, 1, 2)
    acks.on_ack_acked(2)
    acks.on_ack_acked(2)
    assert reported(acks).ranges == ((2, 2),)


@given(st.permutations(range(40)), st.sets(st.integers(0, 39)))
def test_everything_received_is_reported_in_the_end(order: list[int], lost: set[int]) -> None:
    acks = received(AckMachine(), *[number for number in order if number not in lost])
    if len(lost) < 40:
        ranges = reported(acks).ranges
        assert {number for low, high in ranges for number in range(low, high + 1)} == set(range(40)) - lost
        assert list(ranges) == sorted(ranges, reverse=True)
