"""What an end knows of its own place, and when it has to look again."""

from __future__ import annotations

from clawchat.session.scouting import Scout
from clawchat.values.address import Address, Path
from clawchat.values.events import Event, OpenPort
from clawchat.values.habit import BLOCKED, UNKNOWN
from clawchat.values.limits import MAX_SPARES, SURVEY_LIFE

INSIDE = Address("10.1.0.2", 5000)
SEEN = Address("203.0.113.1", 5000)
RELAY = Address("198.51.100.1", 7000)


def scout() -> tuple[Scout, list[Event]]:
    events: list[Event] = []
    made = Scout(events.append)
    made.opened(0, INSIDE)
    return made, events


def test_an_end_looks_again_after_a_while_or_when_sessions_have_taken_its_spare_ports() -> None:
    made, events = scout()
    assert made.stale(SURVEY_LIFE, now=0.0)
    made.gather(now=0.0)
    spares = [event.handle for event in events if isinstance(event, OpenPort)]
    assert len(spares) == MAX_SPARES
    assert not made.stale(SURVEY_LIFE, now=SURVEY_LIFE)
    assert made.stale(SURVEY_LIFE, now=SURVEY_LIFE + 0.1)
    for number, handle in enumerate(spares):
        made.opened(handle, Address(INSIDE.host, 6000 + number))
        made.keep(handle, instead_of=None)
    assert made.stale(SURVEY_LIFE, now=1.0)


def test_what_a_relay_has_just_seen_is_known_for_a_moment() -> None:
    made, _events = scout()
    made.observe(Path(0, RELAY), SEEN, at=5.0)
    assert made.knows(Path(0, RELAY), since=5.0)
    assert not made.knows(Path(0, RELAY), since=5.1)
    assert not made.knows(Path(0, RELAY._replace(port=1)), since=0.0)


def test_an_end_whose_network_drops_udp_says_so_until_a_relay_is_heard() -> None:
    made, _events = scout()
    assert made.habit(now=0.0) == UNKNOWN
    made.blocked = True
    assert made.habit(now=0.0) == BLOCKED
    made.observe(Path(0, RELAY), SEEN, at=0.0)
    assert made.habit(now=0.0) != BLOCKED


def test_what_is_seen_anew_is_judged_anew() -> None:
    made, _events = scout()
    made.observe(Path(0, RELAY), SEEN, at=0.0)
    before = made.mapping()
    assert before is not None
    assert made.mapping() is before
    made.observe(Path(0, RELAY._replace(host="198.51.100.2")), SEEN._replace(port=9), at=0.1)
    after = made.mapping()
    assert after is not None
    assert after.last.port == 9
    made.moved()
    assert made.mapping() is None
