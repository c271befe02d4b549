from __future__ import annotations

from random import Random

import pytest

from clawchat.nat.probing import Prober
from clawchat.session.config import EndpointConfig
from clawchat.session.reserve import Reserve
from clawchat.transport.recovery import Recovery
from clawchat.transport.rtt import RttEstimator
from clawchat.values.address import Address, Path
from clawchat.values.limits import FLOW_PACKETS, RESERVE_SHOWN, SUSPECT_AFTER, SUSPECT_PROBES, SUSPECT_WAIT

DIRECT = Path(0, Address("203.0.113.1", 7))
FIRST, SECOND = (Path(-number, Address(f"100::{number}", 0)) for number in (1, 2))
RTT = 0.01
LEFT_AFTER = SUSPECT_AFTER + SUSPECT_PROBES * SUSPECT_WAIT


class Watched:
    """A reserve of some relays, and the probes it has sent."""

    def __init__(self, *relays: Path, current: Path = DIRECT, shows: bool = False) -> None:
        self.current = current
        self.prober = Prober(Random(1).randbytes)
        self.reserve = Reserve(self.prober, lambda _: False, shows=shows)
        self.recovery = Recovery(RttEstimator(RTT), EndpointConfig().congestion())
        for relay in relays:
            self.reserve.add(relay, now=0.0)

    def flow(self, *, now: float) -> None:
        for at in (now - 0.1, now):
            self.reserve.on_heard(FLOW_PACKETS, RTT, now=at)

    def look(self, *, now: float) -> tuple[bool, list[Path]]:
        left = self.reserve.watch(self.current, self.recovery, now=now)
        return left, [frame.path for frame in self.prober.take(now=now)]

    def left_at(self, until: float) -> float | None:
        """Look whenever it is time; return when the path is to be left."""
        while self.reserve.deadline <= until:
            now = self.reserve.deadline
            if self.look(now=now)[0]:
                return now
        return None


def test_the_silence_of_a_peer_in_full_flow_is_noticed() -> None:
    watched = Watched(FIRST, SECOND)
    watched.flow(now=1.0)
    assert watched.look(now=1.5) == (False, [])
    assert watched.look(now=1.0 + SUSPECT_AFTER) == (False, [DIRECT, FIRST, SECOND])
    assert watched.left_at(5.0) == pytest.approx(1.0 + LEFT_AFTER)


def test_an_acknowledgement_does_not_hide_the_silence() -> None:
    watched = Watched(FIRST)
    watched.flow(now=1.0)
    watched.reserve.on_acked()
    assert watched.left_at(5.0) == pytest.approx(1.0 + LEFT_AFTER)


def test_one_answer_ends_the_doubt() -> None:
    for answer in (Reserve.on_answer, Reserve.on_acked):
        watched = Watched(FIRST)
        watched.flow(now=1.0)
        watched.look(now=1.0 + SUSPECT_AFTER)
        answer(watched.reserve)
        assert watched.left_at(5.0) is None


def test_a_few_packets_now_and_then_are_no_flow() -> None:
    watched = Watched(FIRST)
    for second in range(1, 60):
        watched.reserve.on_heard(1, RTT, now=float(second))
    assert watched.left_at(100.0) is None


def test_where_there_is_nowhere_to_go_the_path_is_probed_and_kept() -> None:
    watched = Watched(FIRST, current=FIRST)
    watched.flow(now=1.0)
    assert watched.look(now=1.0 + SUSPECT_AFTER) == (False, [FIRST])
    assert watched.left_at(5.0) is None


def test_when_all_relays_were_left_in_vain_only_one_that_answers_is_gone_to() -> None:
    watched = Watched(FIRST, SECOND, current=FIRST)
    for silent in (FIRST, SECOND):
        assert not watched.reserve.tried_all
        watched.reserve.leave(silent)
    assert watched.reserve.tried_all
    watched.flow(now=1.0)
    assert watched.left_at(5.0) is None
    watched.reserve.on_acked()
    assert not watched.reserve.tried_all


def test_the_relay_that_fell_silent_is_the_last_to_go_to_and_one_that_answers_the_first() -> None:
    watched = Watched(FIRST, SECOND)
    assert watched.reserve.instead_of(DIRECT) == FIRST
    watched.reserve.leave(FIRST)
    assert watched.reserve.instead_of(DIRECT) == SECOND
    watched.reserve.prefer(FIRST)
    assert watched.reserve.instead_of(DIRECT) == FIRST
    assert watched.reserve.drop(FIRST.port)
    assert not watched.reserve.drop(FIRST.port)
    assert watched.reserve.instead_of(DIRECT) == SECOND


def test_an_initiator_shows_what_it_holds_again_and_again() -> None:
    watched = Watched(FIRST, SECOND, current=FIRST, shows=True)
    assert watched.look(now=0.0) == (False, [SECOND])
    assert watched.look(now=RESERVE_SHOWN - 1) == (False, [])
    assert watched.look(now=RESERVE_SHOWN) == (False, [SECOND])
