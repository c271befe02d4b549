from __future__ import annotations

import pytest

from clawchat.values.errors import PersonalError
from server.slots import MAX_INVITATIONS, RETRY_SECONDS, Timetable

VALIDITY, RENEW = 660.0, 600.0


@pytest.fixture
def times() -> Timetable:
    return Timetable(validity=VALIDITY, renew_every=RENEW)


def test_an_invitation_is_due_at_once(times: Timetable) -> None:
    times.invite("ann", now=100)
    assert times.due(now=100) == ["ann"]
    assert times.next_deadline() == 100


def test_a_file_is_renewed_before_it_ends(times: Timetable) -> None:
    times.invite("ann", now=0)
    assert times.made("ann", b"1", now=0) == VALIDITY
    assert times.due(now=RENEW - 1) == []
    assert times.due(now=RENEW) == ["ann"]


def test_the_older_credential_lives_out_its_own_time(times: Timetable) -> None:
    times.invite("ann", now=0)
    times.made("ann", b"1", now=0)
    times.made("ann", b"2", now=RENEW)
    assert times.next_deadline() == VALIDITY
    assert times.expire(now=VALIDITY - 1) == []
    assert times.expire(now=VALIDITY) == [b"1"]
    assert times.expire(now=VALIDITY) == []
    assert [(view.name, view.seconds) for view in times.views(now=VALIDITY)] == [("ann", RENEW)]


@pytest.mark.parametrize("used", [b"1", b"2"])
def test_a_use_burns_every_generation(times: Timetable, used: bytes) -> None:
    times.invite("ann", now=0)
    times.made("ann", b"1", now=0)
    times.made("ann", b"2", now=RENEW)
    burnt = times.burn(used)
    assert burnt is not None
    assert (burnt.name, burnt.slot_ids) == ("ann", (b"1", b"2"))
    assert times.burn(b"2") is None
    assert times.next_deadline() is None


def test_an_expired_credential_burns_nothing(times: Timetable) -> None:
    times.invite("ann", now=0)
    times.made("ann", b"1", now=0)
    times.expire(now=VALIDITY)
    assert times.burn(b"1") is None


def test_invitations_do_not_touch_each_other(times: Timetable) -> None:
    for name, slot in (("ann", b"a"), ("bob", b"b")):
        times.invite(name, now=0)
        times.made(name, slot, now=0)
    times.burn(b"a")
    assert [view.name for view in times.views(now=1)] == ["bob"]
    assert "ann" not in times


def test_inviting_again_makes_a_new_file(times: Timetable) -> None:
    times.invite("ann", now=0)
    times.made("ann", b"1", now=0)
    times.invite("ann", now=5)
    assert times.due(now=5) == ["ann"]


def test_a_failure_is_tried_again_soon(times: Timetable) -> None:
    times.invite("ann", now=0)
    times.failed("ann", now=0)
    assert times.due(now=RETRY_SECONDS - 1) == []
    assert times.due(now=RETRY_SECONDS) == ["ann"]


def test_a_failure_of_a_withdrawn_invitation_is_nothing(times: Timetable) -> None:
    times.failed("ann", now=0)
    assert times.withdraw("ann") is None


def test_invitations_are_bounded(times: Timetable) -> None:
    for number in range(MAX_INVITATIONS):
        times.invite(f"n{number}", now=0)
    times.invite("n0", now=0)
    with pytest.raises(PersonalError) as caught:
        times.invite("one-more", now=0)
    assert caught.value.code == "CC-REFUSED"


def test_a_file_not_yet_written_has_no_time_left(times: Timetable) -> None:
    times.invite("ann", now=7)
    assert times.views(now=7)[0].seconds == 0
