"""What relays see of our ports is asked once for each, again only where no answer came, and never of a closed port."""

from __future__ import annotations

import random

from clawchat.nat.path import PathFrame
from clawchat.nat.probing import Prober
from clawchat.nat.survey import Survey
from clawchat.values.address import Address, Path
from clawchat.values.limits import SURVEY_TRIES
from clawchat.values.timers import NEVER
from clawchat.wire.decoding import decode
from clawchat.wire.frames import PathChallenge, PathResponse

FIRST, SECOND = (Path(port, Address("198.51.100.1", 7000)) for port in (0, 1))
SEEN = Address("203.0.113.1", 50_000)
PATIENCE = 0.2


def begun() -> Survey:
    survey = Survey(random.Random(1).randbytes)
    survey.ask(FIRST)
    survey.ask(SECOND)
    return survey


def asked(survey: Survey, now: float, closed: frozenset[int] = frozenset()) -> list[PathFrame]:
    return survey.ask_again(lambda port: port not in closed, now=now, patience=PATIENCE)


def answer(survey: Survey, item: PathFrame, now: float) -> Path | None:
    challenge = next(frame for frame in decode(item.frame) if isinstance(frame, PathChallenge))
    answered = survey.on_response(PathResponse(challenge.token, SEEN), now=now)
    return answered.path if answered is not None else None


def test_who_has_answered_is_not_asked_again() -> None:
    survey = begun()
    first, second = asked(survey, 1.0)
    assert (answer(survey, first, 1.1), survey.deadline) == (FIRST, 1.0 + PATIENCE)
    assert [item.path for item in asked(survey, 1.2)] == [SECOND]
    assert answer(survey, second, 1.25) == SECOND
    assert (survey.deadline, asked(survey, 2.0)) == (NEVER, [])


def test_nobody_is_asked_for_ever() -> None:
    survey = begun()
    rounds = [asked(survey, PATIENCE * number) for number in range(SURVEY_TRIES + 2)]
    assert [len(found) for found in rounds] == [2] * SURVEY_TRIES + [0, 0]
    assert survey.deadline == NEVER


def test_a_port_that_was_closed_is_asked_for_no_more() -> None:
    survey = begun()
    asked(survey, 0.0)
    assert [item.path for item in asked(survey, PATIENCE, frozenset({0}))] == [SECOND]


def test_a_peer_that_probes_often_is_asked_back_once_a_round_trip() -> None:
    prober = Prober(random.Random(1).randbytes)
    found = []
    for now in (0.0, 0.02, 0.06, 0.1):
        prober.ask_back(FIRST, 0.1, now=now)
        found.append(len(prober.take(now=now)))
    assert found == [1, 0, 0, 1]
