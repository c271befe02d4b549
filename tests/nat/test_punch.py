from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.punch import FURTHER, REFRESH_AHEAD, SHORTEST_TTL, Lane, Puncher, Shot, Stage
from clawchat.values.address import Address, Path
from clawchat.values.limits import FIRE_TIMES, PORT_REST, PUNCH_PASSES, SILENT_FIRE
from clawchat.values.timers import NEVER

TTL = 4
MAIN = (Path(0, Address("203.0.113.1", 1)), Path(0, Address("203.0.113.1", 2)))
SPARE = (Path(1000, Address("203.0.113.1", 3)),)
OTHER = (Path(1001, Address("203.0.113.1", 4)),)
LANES = (Lane(MAIN, MAIN), Lane(SPARE, SPARE), Lane(OTHER, OTHER))


def begun(*lanes: Lane, peer_ready: int = -1) -> Puncher:
    puncher = Puncher(TTL)
    puncher.begin(*lanes, peer_ready=peer_ready, now=0.0)
    return puncher


def drain(puncher: Puncher, until: float) -> list[tuple[float, Shot]]:
    shots = []
    while puncher.deadline <= until:
        now = puncher.deadline
        shots += [(now, shot) for shot in puncher.take(now=now)]
    return shots


def test_priming_comes_first_and_dies_on_the_way() -> None:
    puncher = begun(LANES[0])
    assert puncher.take(now=0.0) == [Shot(path, TTL) for path in MAIN]
    assert (puncher.stage, puncher.announce, puncher.primed) == (Stage.PRIMED, 0, 0)
    assert puncher.take(now=0.5) == []


def test_nothing_goes_all_the_way_before_the_peer_is_ready() -> None:
    assert all(shot.ttl is not None for _, shot in drain(begun(*LANES), 100.0))


def test_probes_leave_at_their_times_once_both_are_ready() -> None:
    puncher = begun(LANES[0])
    puncher.take(now=0.0)
    puncher.on_punch(0, now=1.0)
    fired = [at - 1.0 for at, shot in drain(puncher, 1.4) if shot.path == MAIN[0]]
    assert fired == pytest.approx(FIRE_TIMES)
    assert puncher.fired_at == 1.0


def test_who_hears_first_fires_at_once_which_opens_its_own_nat_as_well() -> None:
    puncher = begun(LANES[0], peer_ready=0)
    assert {shot.ttl for _, shot in drain(puncher, 0.0)} == {None}
    assert puncher.announce == 0


def test_who_fires_from_another_port_primes_all_the_same() -> None:
    puncher = begun(Lane(MAIN, SPARE), peer_ready=0)
    assert [(shot.path, shot.ttl) for _, shot in drain(puncher, 0.0)][:2] == [(path, TTL) for path in MAIN]


def test_a_silent_port_is_left_for_a_fresh_one_and_rests() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_punch(0, now=0.0)
    shots = drain(puncher, SILENT_FIRE + 0.01)
    first = next(at for at, shot in shots if shot.path == SPARE[0])
    assert first == pytest.approx(SILENT_FIRE)
    puncher.on_punch(1, now=first)
    puncher.on_punch(2, now=first + 1)
    later = [at for at, shot in drain(puncher, 200.0) if shot.path in MAIN and at > FIRE_TIMES[-1]]
    assert min(later) >= PORT_REST


def test_the_wait_grows_with_the_round_trip() -> None:
    puncher = begun(*LANES)
    puncher.rtt = 0.4
    puncher.take(now=0.0)
    puncher.on_punch(0, now=0.0)
    assert min(at for at, shot in drain(puncher, 3.0) if shot.path == SPARE[0]) == pytest.approx(1.6)


def test_opening_packets_go_further_on_the_last_spare() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_punch(0, now=0.0)
    drain(puncher, SILENT_FIRE)
    puncher.on_punch(1, now=SILENT_FIRE)
    shots = [shot for _, shot in drain(puncher, 2 * SILENT_FIRE + 0.001)]
    assert shots[-1] == Shot(OTHER[0], TTL + FURTHER)


def test_a_struck_gateway_shortens_priming_and_changes_the_port() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_struck(MAIN[0], now=0.05)
    assert puncher.struck
    assert puncher.take(now=0.05) == [Shot(SPARE[0], TTL // 2)]
    puncher.on_struck(SPARE[0], now=0.1)
    assert puncher.prime_ttl == SHORTEST_TTL


def test_word_of_another_path_changes_nothing() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_struck(OTHER[0], now=0.05)
    assert (puncher.struck, puncher.primed) == (False, 0)


def test_both_ends_follow_to_the_same_round() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_punch(1, now=0.2)
    assert {shot.path for _, shot in drain(puncher, 0.2)} == set(SPARE)
    assert puncher.primed == 1


def test_a_peer_that_begins_anew_is_followed() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_punch(2, now=0.2)
    drain(puncher, 2.0)
    puncher.on_punch(1, now=2.0)
    drain(puncher, 3.0)
    assert puncher.stage is Stage.RESTING
    puncher.on_punch(0, now=4.0)
    assert {shot.path for _, shot in drain(puncher, 4.0)} == set(MAIN)


def test_a_late_word_of_an_earlier_round_leads_nobody_back() -> None:
    puncher = begun(*LANES)
    puncher.take(now=0.0)
    puncher.on_punch(1, now=0.2)
    drain(puncher, 0.7)
    puncher.on_struck(OTHER[0], now=0.7)
    puncher.on_punch(0, now=0.8)
    puncher.on_punch(1, now=0.9)
    assert drain(puncher, 1.0) == []


def test_when_all_ports_were_tried_fresh_ones_are_wanted_before_the_next_pass() -> None:
    puncher = begun(*LANES, peer_ready=2)
    drain(puncher, 1.6)
    assert puncher.refresh_at == pytest.approx(PUNCH_PASSES[1] - REFRESH_AHEAD)
    fresh = Lane((Path(1002, SPARE[0].remote),), (Path(1002, SPARE[0].remote),))
    puncher.use(LANES[0], fresh, LANES[2])
    assert {shot.path for _, shot in drain(puncher, PUNCH_PASSES[1])} == set(fresh.prime)


def test_probes_may_leave_from_other_ports_than_those_that_are_opened() -> None:
    puncher = begun(Lane(MAIN, SPARE), peer_ready=0)
    shots = {shot for _, shot in drain(puncher, 0.4)}
    assert {shot.path for shot in shots if shot.ttl is None} == set(SPARE)
    assert {shot.path for shot in shots if shot.ttl == TTL} == set(MAIN)


def test_without_anything_to_try_it_rests() -> None:
    puncher = begun()
    assert (puncher.deadline, puncher.active) == (NEVER, False)
    puncher.on_punch(3, now=1.0)
    puncher.on_struck(MAIN[0], now=1.0)
    assert puncher.take(now=2.0) == []


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["punch", "take", "struck", "use"]), st.integers(0, 255))))
def test_whatever_happens_it_never_spins(steps: list[tuple[float, str, int]]) -> None:
    puncher, now = begun(*LANES), 0.0
    for wait, what, number in steps:
        now += wait
        match what:
            case "punch":
                puncher.on_punch(number, now=now)
            case "struck":
                puncher.on_struck(MAIN[0], now=now)
            case "use":
                puncher.use(*LANES[: 1 + number % 3])
        spins = 0
        while puncher.deadline <= now:
            puncher.take(now=now)
            spins += 1
            assert spins < 40
