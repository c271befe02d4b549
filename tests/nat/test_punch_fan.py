from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.punch import Shot
from clawchat.nat.punch_fan import FIRST_PORT, OPEN_TIME, TICK, Fan, distinct
from clawchat.nat.punch_memory import MAX_PAIRS, Memory, Pair
from clawchat.nat.punch_plan import Move, following
from clawchat.nat.suspicion import Suspicion
from clawchat.values.address import Address
from clawchat.values.habit import UNKNOWN, Habit, Ports
from clawchat.values.limits import (
    FAN_INTERVAL,
    FAN_LADDER,
    FAN_PAUSE,
    FAN_PROBES,
    FAN_RATE,
    FAN_SPRINT,
    FAN_SPRINT_RATE,
    SUSPECT_AFTER,
)
from clawchat.values.timers import NEVER

BASE = Address("203.0.113.7", 40_010)
PAIR = Pair("203.0.113.1", "203.0.113.7")


def habit(ports: Ports, *, step: int = 0, window: int = 16, lowest: int = 40_000, highest: int = 40_010) -> Habit:
    return Habit(ports, step, window, lowest, highest, BASE)


def fan(move: Move, peer: Habit) -> Fan:
    return Fan(move, [0], BASE, peer, prime_ttl=2, random=Random(1).randbytes, now=0.0)


def drain(machine: Fan, ports: list[int]) -> list[tuple[float, Shot]]:
    shots = []
    while not machine.over:
        now = machine.deadline
        shots += [(now, shot) for shot in machine.take(ports, now=now)]
    return shots


@given(st.integers(1, 3000), st.integers(0, 1 << 64))
def test_every_number_is_drawn_once(size: int, number: int) -> None:
    assert sorted(distinct(size, number)) == list(range(size))


def test_a_walk_probes_what_follows_and_a_little_of_what_came_before() -> None:
    shots = drain(fan(Move.WALK, habit(Ports.COUNTING, step=2)), [])
    ports = [shot.path.remote.port for _, shot in shots]
    assert ports[:3] == [BASE.port + 2, BASE.port + 4, BASE.port + 6]
    assert BASE.port + 32 in ports
    assert BASE.port - 2 in ports
    assert {shot.ttl for _, shot in shots} == {None}


def test_a_ladder_aims_all_its_ports_at_the_middle_and_opens_before_it_fires() -> None:
    ports = list(range(1000, 1000 + FAN_LADDER))
    shots = drain(fan(Move.LADDER, habit(Ports.COUNTING, step=1)), ports)
    assert {shot.path.remote.port for _, shot in shots} == {BASE.port + FAN_LADDER // 2}
    assert {shot.path.port for _, shot in shots} == set(ports)
    primed = max(at for at, shot in shots if shot.ttl)
    assert primed < min(at for at, shot in shots if shot.ttl is None)


def test_ports_that_open_late_are_used_too() -> None:
    machine = fan(Move.LADDER, habit(Ports.COUNTING, step=1))
    assert machine.take([1], now=0.0)
    machine.hurry(now=0.1)
    assert [shot.path.port for shot in machine.take([1, 2], now=0.1)] == [2]


def test_a_scatter_guesses_each_port_once_likely_ones_first_at_its_rate() -> None:
    shots = drain(fan(Move.SCATTER, habit(Ports.RANDOM, lowest=40_000, highest=40_099)), [])
    ports = [shot.path.remote.port for _, shot in shots]
    assert len(ports) == len(set(ports)) == FAN_PROBES
    assert set(ports[:100]) == set(range(40_000, 40_100))
    assert min(ports) >= FIRST_PORT
    sprinted = FAN_SPRINT * FAN_SPRINT_RATE
    assert sum(at <= FAN_SPRINT for at, _ in shots) == pytest.approx(sprinted, abs=FAN_SPRINT_RATE * TICK)
    assert shots[-1][0] == pytest.approx(FAN_SPRINT + (FAN_PROBES - sprinted) / FAN_RATE, abs=0.1)


def test_openers_die_on_the_way_and_stay_open_as_long_as_the_peer_guesses() -> None:
    machine = fan(Move.OPEN, habit(Ports.PRESERVING))
    assert machine.take([5, 6], now=0.0) == [Shot(shot.path, 2) for shot in machine_shots([5, 6])]
    assert machine.deadline == OPEN_TIME
    assert machine.take([5, 6], now=OPEN_TIME) == []
    assert machine.over


def machine_shots(ports: list[int]) -> list[Shot]:
    return fan(Move.OPEN, habit(Ports.PRESERVING)).take(ports, now=0.0)


@pytest.mark.parametrize(
    ("own", "peer", "move"),
    [
        (Ports.PRESERVING, Ports.STEADY, Move.SPARE),
        (Ports.UNKNOWN, Ports.UNKNOWN, Move.SPARE),
        (Ports.PRESERVING, Ports.COUNTING, Move.WALK),
        (Ports.COUNTING, Ports.STEADY, Move.ANSWER),
        (Ports.COUNTING, Ports.COUNTING, Move.LADDER),
        (Ports.STEADY, Ports.RANDOM, Move.SCATTER),
        (Ports.RANDOM, Ports.PRESERVING, Move.OPEN),
        (Ports.RANDOM, Ports.RANDOM, Move.HOPELESS),
        (Ports.RANDOM, Ports.COUNTING, Move.HOPELESS),
        (Ports.COUNTING, Ports.RANDOM, Move.HOPELESS),
        (Ports.RANDOM, Ports.BLOCKED, Move.FIRE),
        (Ports.BLOCKED, Ports.COUNTING, Move.FIRE),
    ],
)
def test_the_move_suits_both_nats(own: Ports, peer: Ports, move: Move) -> None:
    assert following(habit(own) if own else UNKNOWN, habit(peer) if peer else UNKNOWN) is move


def test_one_fan_at_a_time_and_not_often() -> None:
    memory = Memory()
    assert memory.begin_fan(PAIR, now=0.0)
    assert not memory.begin_fan(PAIR, now=FAN_INTERVAL)
    memory.end_fan(PAIR, missed=False, now=FAN_INTERVAL)
    assert memory.begin_fan(PAIR, now=FAN_INTERVAL)
    memory.end_fan(PAIR, missed=True, now=30.0)
    assert not memory.begin_fan(PAIR, now=30.0 + FAN_INTERVAL)
    assert memory.begin_fan(Pair("203.0.113.1", "203.0.113.8"), now=30.0 + FAN_INTERVAL)
    memory.end_fan(PAIR, missed=False, now=60.0)
    assert memory.begin_fan(PAIR, now=30.0 + FAN_PAUSE)


def test_winners_are_remembered_but_not_without_end() -> None:
    memory = Memory()
    memory.won(PAIR, Move.WALK)
    assert memory.winner(PAIR) is Move.WALK
    for number in range(MAX_PAIRS):
        memory.won(Pair("203.0.113.1", str(number)), Move.FIRE)
    assert memory.winner(PAIR) is None


def test_traffic_without_an_answer_is_probed_twice_and_then_given_up() -> None:
    suspicion, now, said = Suspicion(), 0.0, []
    suspicion.on_asked(0.05, now=now)
    while True not in said:
        now = suspicion.deadline
        said.append(suspicion.check(0.05, now=now))
    assert said == [False, False, True]
    assert SUSPECT_AFTER < now <= 1.5
    assert suspicion.deadline == NEVER


def test_an_answer_ends_suspicion() -> None:
    suspicion = Suspicion()
    suspicion.on_asked(0.05, now=0.0)
    suspicion.on_answer()
    assert suspicion.check(0.05, now=5.0) is None
