"""When ports are guessed: not before it is known that there is something to be guessed."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

from clawchat.nat.punch_memory import Pair
from clawchat.nat.reasons import Reason
from clawchat.session.guessing import Guessing
from clawchat.session.scouting import Scout
from clawchat.values.address import Address, Path
from clawchat.values.habit import BLOCKED, UNKNOWN, Habit, Ports
from clawchat.values.limits import FAN_DELAY

THEIRS = Address("203.0.113.2", 5000)
FIRED, SOON = 1.0, 1.1


def behind_dice() -> Guessing:
    scout = Scout(lambda _event: None)
    scout.opened(0, Address("10.1.0.2", 5000))
    for number, port in enumerate((40_000, 51_234)):
        seen = Address("203.0.113.1", port)
        scout.observe(Path(0, Address(f"198.51.100.{1 + number}", 7000)), seen, at=0.1 * number)
    assert scout.habit(now=FIRED).ports is Ports.RANDOM
    return Guessing(cast("Any", SimpleNamespace(scout=scout, random=random.Random(1).randbytes)))


def considered(guessing: Guessing, peer: Habit, now: float) -> bool:
    guessing.consider(Pair("here", "there"), (THEIRS,), peer, fired_at=FIRED, round_trip=0.01, now=now)
    return guessing.running


def test_ports_are_guessed_as_soon_as_both_nats_are_known() -> None:
    assert considered(behind_dice(), Habit(Ports.STEADY, base=THEIRS), SOON)


def test_an_end_that_has_not_heard_of_the_other_nat_gives_it_time() -> None:
    guessing = behind_dice()
    assert not considered(guessing, UNKNOWN, SOON)
    assert guessing.deadline == FIRED + FAN_DELAY
    assert considered(guessing, UNKNOWN, FIRED + FAN_DELAY)


def test_what_it_hears_meanwhile_may_show_that_it_is_hopeless() -> None:
    guessing = behind_dice()
    assert not considered(guessing, UNKNOWN, SOON)
    assert not considered(guessing, Habit(Ports.COUNTING, step=1, window=16, base=THEIRS), FIRED + FAN_DELAY)
    assert guessing.reason is Reason.BOTH_SYMMETRIC


def test_nothing_is_guessed_where_no_udp_passes() -> None:
    guessing = behind_dice()
    assert not considered(guessing, BLOCKED, FIRED + FAN_DELAY)
    assert guessing.reason is Reason.PEER_BLOCKED
