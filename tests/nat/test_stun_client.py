from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.stun import Change
from clawchat.nat.stun_client import StunClient
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram
from clawchat.values.timers import NEVER
from tests.support.little_nat import error, success

SERVER = Address("198.51.100.1", 3478)
HERE = Address("203.0.113.7", 40_000)
BOTH = Change.IP | Change.PORT


def client(requests: int = 7) -> StunClient:
    return StunClient(random=random.Random(7).randbytes, requests=requests)


def transaction(asker: StunClient, now: float = 0.0) -> bytes:
    """Send what is due and return its transaction."""
    (sent,) = asker.transmits(now=now)
    return sent.data[8:20]


def run_out(asker: StunClient) -> list[float]:
    """Let time pass until nothing is due; return when something was sent."""
    sent = []
    while (now := asker.next_timeout()) != NEVER:
        if asker.transmits(now=now):
            sent.append(now)
    return sent


def test_requests_are_repeated_on_the_standards_schedule() -> None:
    asker = client()
    asker.ask(SERVER, now=0.0)
    assert run_out(asker) == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    (result,) = asker.results()
    assert (result.reply, result.ended_at, result.requests) == (None, 39.5, 7)


def test_fewer_requests_end_sooner() -> None:
    asker = client(requests=3)
    asker.ask(SERVER, now=10.0)
    assert run_out(asker) == [10, 10.5, 11.5]
    (result,) = asker.results()
    assert result.ended_at == 13.5


def test_a_repetition_is_the_same_request() -> None:
    asker = client()
    asker.ask(SERVER, now=0.0)
    assert asker.transmits(now=0.0) == asker.transmits(now=0.5)
    assert asker.transmits(now=0.6) == []


def test_an_answer_ends_the_question() -> None:
    asker = client()
    number = asker.ask(SERVER, now=1.0)
    asker.receive(success(transaction(asker, 1.0), HERE), SERVER, now=1.25)
    (result,) = asker.results()
    assert (result.number, result.server, result.asked_at, result.ended_at) == (number, SERVER, 1.0, 1.25)
    assert result.reply is not None
    assert result.reply.mapped == HERE
    assert asker.idle
    assert asker.next_timeout() == NEVER


def test_a_refusal_ends_it_too() -> None:
    asker = client()
    asker.ask(SERVER, now=0.0)
    asker.receive(error(transaction(asker), 420), SERVER, now=0.1)
    (result,) = asker.results()
    assert result.reply is not None
    assert (result.reply.mapped, result.reply.error) == (None, 420)


@pytest.mark.parametrize(
    ("change", "source", "taken"),
    [
        (Change.NOTHING, SERVER, True),
        (Change.NOTHING, Address("198.51.100.1", 3479), False),
        (Change.NOTHING, Address("198.51.100.2", 3478), False),
        (Change.PORT, Address("198.51.100.1", 3479), True),
        (Change.PORT, Address("198.51.100.2", 3479), False),
        (Change.IP, Address("198.51.100.2", 3478), True),
        (Change.IP, Address("198.51.100.2", 3479), False),
        (BOTH, Address("198.51.100.2", 3479), True),
        (BOTH, Address("198.51.100.2", 3478), False),
    ],
)
def test_an_answer_must_come_from_where_it_was_asked_for(change: Change, source: Address, *, taken: bool) -> None:
    asker = client()
    asker.ask(SERVER, change, now=0.0)
    answer = success(transaction(asker), HERE)
    if not taken:
        with pytest.raises(BadDatagram):
            asker.receive(answer, source, now=0.1)
    else:
        asker.receive(answer, source, now=0.1)
    assert asker.idle is taken


@pytest.mark.parametrize("refused", [True, False])
def test_a_server_that_changes_nothing_has_refused(*, refused: bool) -> None:
    asker = client()
    asker.ask(SERVER, BOTH, now=0.0)
    known = transaction(asker)
    asker.receive(error(known, 420) if refused else success(known, HERE), SERVER, now=0.1)
    (result,) = asker.results()
    assert result.reply is not None
    assert (result.reply.mapped, result.reply.error) == (None, 420)


def test_an_answer_serves_once_and_only_its_own_question() -> None:
    asker = client()
    asker.ask(SERVER, now=0.0)
    answer = success(transaction(asker), HERE)
    asker.receive(answer, SERVER, now=0.1)
    asker.ask(SERVER, now=0.2)
    with pytest.raises(BadDatagram):
        asker.receive(answer, SERVER, now=0.3)
    assert not asker.idle


def test_a_damaged_answer_leaves_the_question_open() -> None:
    asker = client()
    asker.ask(SERVER, now=0.0)
    known = transaction(asker)
    with pytest.raises(BadDatagram):
        asker.receive(success(known, Address("0.0.0.0", 1)), SERVER, now=0.1)
    asker.receive(success(known, HERE), SERVER, now=0.2)
    assert asker.idle


def test_giving_up_ends_everything() -> None:
    asker = client()
    for _ in range(3):
        asker.ask(SERVER, now=0.0)
    asker.give_up(now=1.0)
    assert [result.reply for result in asker.results()] == [None] * 3
    assert list(asker.results()) == []


@given(st.binary(max_size=100))
def test_strangers_change_nothing(data: bytes) -> None:
    asker = client()
    asker.ask(SERVER, now=0.0)
    transaction(asker)
    with pytest.raises(BadDatagram):
        asker.receive(data, SERVER, now=0.1)
    assert not asker.idle
    assert list(asker.results()) == []
