"""The machines together over a simulated link: always every byte, and a fair use of the path."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transport.transfer import CHUNK, Link, Transfer

MEGABIT = 125_000.0


def text(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def seconds(transfer: Transfer) -> float:
    assert transfer.done_at is not None, f"only {len(transfer.received)} bytes arrived"
    assert bytes(transfer.received) == transfer.data
    assert transfer.recovery.in_flight >= 0
    return transfer.done_at


def test_a_clean_path_loses_and_repeats_nothing() -> None:
    transfer = Transfer(text(4 << 20)).run(60)
    assert seconds(transfer) < 1.0
    assert transfer.recovery.packets_lost == 0
    assert transfer.sent_packets <= -(-len(transfer.data) // CHUNK) + 40  # runs end with short packets


@pytest.mark.parametrize("queue", [0.2, 1.0, 4.0], ids=lambda share: f"{share} round trips of queue")
def test_a_bottleneck_is_used(queue: float) -> None:
    rate = 100 * MEGABIT
    transfer = Transfer(text(20 << 20), Link(0.02, rate, int(queue * rate * 0.04))).run(60)
    assert len(transfer.data) / seconds(transfer) > 0.8 * rate
    assert transfer.recovery.packets_lost < 0.1 * transfer.sent_packets


@pytest.mark.parametrize("delay", [0.01, 0.05, 0.15, 0.3])
@pytest.mark.parametrize("loss", [0.01, 0.1, 0.3])
def test_loss_and_delay_slow_it_down_but_never_stop_it(loss: float, delay: float) -> None:
    transfer = Transfer(text(100_000), Link(delay / 2, 100 * MEGABIT, loss=loss), Link(delay / 2, loss=loss)).run(600)
    assert seconds(transfer) < 400 * (delay + 0.05)


@settings(max_examples=40)
@given(
    size=st.integers(0, 60_000),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    duplicate=st.sampled_from([0.0, 0.3]),
    jitter=st.sampled_from([0.0, 0.001, 0.05]),
    delay=st.sampled_from([0.0, 0.001, 0.1]),
    seed=st.integers(0, 1 << 16),
)
def test_every_byte_arrives(  # noqa: PLR0913 - what a network can do
    *, size: int, loss: float, duplicate: float, jitter: float, delay: float, seed: int
) -> None:
    link = Link(delay, 100 * MEGABIT, 100_000, loss=loss, duplicate=duplicate, jitter=jitter)
    back = Link(delay, loss=loss, duplicate=duplicate, jitter=jitter)
    seconds(Transfer(text(size), link, back, seed=seed).run(900))


def test_reordering_is_not_taken_for_loss_for_long() -> None:
    transfer = Transfer(text(4 << 20), Link(0.02, 100 * MEGABIT, 1 << 24, jitter=0.01)).run(60)
    assert seconds(transfer) < 2.0
    assert transfer.recovery.packets_lost == 0
    assert transfer.late_packets < 0.1 * transfer.sent_packets


def test_it_resumes_within_seconds_after_an_outage() -> None:
    down = (0.2, 30.2)
    transfer = Transfer(text(8 << 20), Link(0.02, 100 * MEGABIT, down=down), Link(0.02, down=down)).run(60)
    assert seconds(transfer) < 30.2 + 2.0 + 3.0


def test_a_trickle_does_not_inflate_the_window() -> None:
    transfer = Transfer(text(200_000), Link(0.02, 100 * MEGABIT), rate_limit=20_000).run(60)
    assert seconds(transfer) > 9
    assert transfer.max_window < 60_000  # about twice what a round trip carries


def test_the_same_seed_gives_the_same_run() -> None:
    def once() -> tuple[float | None, int, int]:
        link = Link(0.02, 10 * MEGABIT, 30_000, loss=0.02, jitter=0.002)
        transfer = Transfer(text(300_000), link, seed=7).run(60)
        return transfer.done_at, transfer.sent_packets, transfer.recovery.packets_lost

    assert once() == once()
