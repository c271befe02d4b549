"""The path in use: what moves it, what is sent to an address before it has proved itself."""

from __future__ import annotations

import random
from collections import Counter
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.path import MAX_ANSWERS, MAX_PROVEN, PATH_PACKET, PathFrame, PathMachine
from clawchat.nat.probing import Prober
from clawchat.values.address import Address, Path
from clawchat.values.limits import ANTI_AMPLIFICATION, CHALLENGE_TRIES, OVERHEAD, PATH_LENGTHS, PATH_PROVEN
from clawchat.values.timers import NEVER
from clawchat.wire.decoding import decode
from clawchat.wire.frames import Padding, PathChallenge, PathResponse, padded

HOME, AWAY, ELSEWHERE = (Path(0, Address("203.0.113.1", port)) for port in (1, 2, 3))
COST = PATH_PACKET
F = TypeVar("F")
HERE = Address("198.51.100.1", 9)


def machine(patience: float = 0.0) -> PathMachine:
    return PathMachine(HOME, random.Random(1).randbytes, patience=patience)


def taken(paths: PathMachine, now: float = 0.0) -> list[PathFrame]:
    return paths.take(COST, now=now, timeout=0.5)


def challenge(paths: PathMachine, now: float = 0.0) -> PathChallenge:
    (item,) = taken(paths, now)
    return said(item, PathChallenge)


def said(item: PathFrame, kind: type[F]) -> F:
    """Return the frame of a packet, behind which there is nothing but padding."""
    frame, *rest = decode(item.frame)
    assert isinstance(frame, kind)
    assert all(isinstance(more, Padding) for more in rest)
    return frame


def test_packets_on_the_path_in_use_change_nothing() -> None:
    paths = machine()
    paths.on_newest(HOME, 1200, now=0.0)
    assert (paths.current, paths.waiting, paths.deadline, taken(paths)) == (HOME, False, NEVER, [])


def test_a_path_that_has_just_answered_a_probe_is_not_challenged() -> None:
    paths = machine()
    paths.on_proven(AWAY, now=1.0)
    assert not paths.on_newest(ELSEWHERE, 100, now=1.1)
    assert paths.on_newest(AWAY, 100, now=1.0 + PATH_PROVEN)
    assert (paths.current, paths.deadline, taken(paths)) == (AWAY, NEVER, [])


def test_of_many_paths_that_answered_the_newest_are_remembered() -> None:
    paths = machine()
    ways = [HOME._replace(port=number) for number in range(1, MAX_PROVEN + 2)]
    for way in ways:
        paths.on_proven(way, now=1.0)
    assert not paths.on_newest(ways[0], 100, now=1.1)
    assert paths.on_newest(ways[-1], 100, now=1.1)


def test_a_path_that_answered_long_ago_or_before_a_move_is_challenged() -> None:
    late, moved = machine(), machine()
    late.on_proven(AWAY, now=1.0)
    assert not late.on_newest(AWAY, 100, now=1.1 + PATH_PROVEN)
    moved.on_proven(AWAY, now=1.0)
    moved.adopt(ELSEWHERE)
    assert not moved.on_newest(AWAY, 100, now=1.1)
    assert challenge(late, 4.1).token
    assert challenge(moved, 1.1).token


def test_another_path_is_challenged_and_its_answer_moves() -> None:
    paths = machine()
    paths.on_newest(AWAY, 100, now=0.0)
    assert (paths.waiting, paths.current) == (True, HOME)
    token = challenge(paths).token
    assert (paths.waiting, paths.current) == (False, HOME)
    assert paths.on_response(PathResponse(token, HERE))
    assert (paths.current, paths.deadline) == (AWAY, NEVER)


def test_a_wrong_or_second_answer_moves_nothing() -> None:
    paths = machine()
    assert not paths.on_response(PathResponse(b"", HERE))
    paths.on_newest(AWAY, 100, now=0.0)
    token = challenge(paths).token
    assert not paths.on_response(PathResponse(bytes(8), HERE))
    assert paths.on_response(PathResponse(token, HERE))
    paths.on_newest(HOME, 100, now=1.0)
    assert not paths.on_response(PathResponse(token, HERE))
    assert paths.current == AWAY


def test_a_newer_packet_by_the_path_in_use_ends_the_matter() -> None:
    paths = machine()
    paths.on_newest(AWAY, 100, now=0.0)
    token = challenge(paths).token
    paths.on_newest(HOME, 100, now=0.1)
    assert paths.deadline == NEVER
    assert not paths.on_response(PathResponse(token, HERE))
    assert paths.current == HOME


def test_a_challenge_is_repeated_a_few_times() -> None:
    paths = machine()
    paths.on_newest(AWAY, 1000, now=0.0)
    tokens = {challenge(paths, 0.0).token}
    for attempt in range(1, CHALLENGE_TRIES):
        assert paths.deadline == 0.5 * attempt
        paths.on_timeout()
        tokens.add(challenge(paths, 0.5 * attempt).token)
    paths.on_timeout()
    assert (taken(paths), paths.deadline, paths.current) == ([], NEVER, HOME)
    assert len(tokens) == 1
    assert not paths.on_response(PathResponse(tokens.pop(), HERE))


def test_a_third_path_has_a_challenge_of_its_own() -> None:
    paths = machine()
    paths.on_newest(AWAY, 100, now=0.0)
    first = challenge(paths).token
    paths.on_newest(ELSEWHERE, 100, now=0.0)
    second = challenge(paths).token
    assert first != second
    assert not paths.on_response(PathResponse(first, HERE))
    assert paths.on_response(PathResponse(second, HERE))
    assert paths.current == ELSEWHERE


@given(st.lists(st.one_of(st.integers(1, 200), st.none()), max_size=30))
def test_an_unproven_address_gets_three_times_what_it_sent_at_most(steps: list[int | None]) -> None:
    """A number is a packet of that size from there, None a timeout."""
    paths = machine()
    heard = said = 0
    for step in steps:
        if step is None:
            if paths.deadline != NEVER:
                paths.on_timeout()
        else:
            heard += step
            paths.on_newest(AWAY, step, now=0.0)
        said += COST * len(taken(paths))
        assert said <= ANTI_AMPLIFICATION * heard


def test_challenges_are_answered_where_they_came_from() -> None:
    paths = machine()
    paths.on_challenge(PathChallenge(b"12345678"), AWAY)
    (item,) = taken(paths)
    assert item.path == AWAY
    assert said(item, PathResponse) == PathResponse(b"12345678", AWAY.remote)
    assert paths.current == HOME


def test_packets_that_test_a_path_have_no_length_of_their_own() -> None:
    prober = Prober(random.Random(3).randbytes)
    paths = machine()
    lengths: Counter[int] = Counter()
    for number in range(100):
        prober.probe(AWAY)
        paths.on_challenge(PathChallenge(number.to_bytes(8, "big")), HOME)
        lengths.update(len(padded(item.frame)) for item in (*taken(paths), *prober.take(now=0.0)))
    assert len(lengths) == PATH_LENGTHS
    assert max(lengths.values()) < 0.4 * sum(lengths.values())
    assert OVERHEAD + max(lengths) == PATH_PACKET


def test_a_flood_of_challenges_is_answered_in_part() -> None:
    paths = machine()
    for number in range(100):
        paths.on_challenge(PathChallenge(number.to_bytes(8, "big")), HOME)
    assert len(taken(paths)) == MAX_ANSWERS
    assert taken(paths) == []


# --- patience -----------------------------------------------------------------------------------------


def test_the_patient_wait_before_they_challenge() -> None:
    paths = machine(patience=0.6)
    paths.on_newest(AWAY, 100, now=1.0)
    assert (paths.waiting, paths.deadline) == (False, 1.6)
    assert taken(paths, 1.0) == []
    paths.on_newest(AWAY, 100, now=1.5)
    assert paths.deadline == 1.6
    paths.on_timeout()
    assert paths.on_response(PathResponse(challenge(paths, 1.6).token, HERE))
    assert paths.current == AWAY


def test_the_patient_stay_where_they_are_heard() -> None:
    paths = machine(patience=0.6)
    for step in range(100):
        paths.on_newest(AWAY, 100, now=0.1 * step)
        paths.on_newest(HOME, 100, now=0.1 * step)
        assert (paths.deadline, taken(paths)) == (NEVER, [])
    assert paths.current == HOME


def test_two_patient_and_impatient_ends_agree() -> None:
    """Each hears the other on the path it did not choose; one of them gives way."""
    hasty, patient = machine(), PathMachine(AWAY, random.Random(2).randbytes, patience=0.6)
    hasty.on_newest(AWAY, 100, now=0.0)
    patient.on_newest(HOME, 100, now=0.0)
    assert taken(patient) == []
    assert hasty.on_response(PathResponse(challenge(hasty).token, HERE))
    patient.on_newest(AWAY, 100, now=0.1)
    assert (hasty.current, patient.current) == (AWAY, AWAY)
