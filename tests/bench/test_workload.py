"""The application protocol that every peer carries."""

from __future__ import annotations

import asyncio

import pytest

from lab.bench.ends.workload import CREDIT_SIZE, MESSAGE, Answer, Pipe, measure_bulk, measure_echo, measure_setup


class Loop:
    """A pipe straight into the server's side, which counts what it was given."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.reply = b""
        self.taken = 0

    async def send(self, data: bytes) -> None:
        self.taken += len(data)
        self.reply += bytes(self.answer.feed(data))

    async def receive(self) -> bytes:
        if not self.reply:
            raise ConnectionResetError
        reply, self.reply = self.reply[:40], self.reply[40:]
        return reply

    async def close(self) -> None:
        pass


async def connect() -> Pipe:
    return Loop()


def test_an_echo_comes_back_as_it_is_however_it_is_cut() -> None:
    answer = Answer()
    assert answer.feed(b"Eab") == b"ab"
    assert answer.feed(b"c") == b"c"


def test_the_opening_byte_may_come_alone() -> None:
    answer = Answer()
    assert answer.feed(b"E") == b""
    assert answer.feed(MESSAGE) == MESSAGE


def test_a_sink_gives_credit_for_whole_mebibytes_and_says_when_it_is_done() -> None:
    answer = Answer()
    assert answer.feed(b"S" + bytes(CREDIT_SIZE - 1)) == b""
    assert answer.feed(bytes(1)) == b"."
    assert answer.feed(bytes(2 * CREDIT_SIZE + 5)) == b".."
    assert answer.feed(b"\xff") == b"!"


def test_another_conversation_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown conversation"):
        Answer().feed(b"x")


def test_a_flow_ends_with_every_byte_confirmed() -> None:
    pipe = Loop()
    figures = asyncio.run(measure_bulk(pipe, 0.01))
    assert figures["bytes"] == pipe.taken - len(b"S")


def test_round_trips_and_setup_are_measured_over_any_pipe() -> None:
    trips = asyncio.run(measure_echo(Loop(), 20))
    assert 0 < trips["rtt_p50_us"] <= trips["rtt_p99_us"]
    assert asyncio.run(measure_setup(connect, 3))["setup_ms"] > 0
