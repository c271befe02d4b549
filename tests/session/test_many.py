"""Many sessions in one endpoint: they share its buffers and its turns, and never each other's bytes."""

from __future__ import annotations

from copy import deepcopy

import pytest

from clawchat.session.endpoint import TRANSMITS_PER_TURN
from clawchat.values.address import Address
from clawchat.values.events import SessionOpened
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import End, Pair

GUESTS = 20


def party(link: Link) -> tuple[Pair, list[End], dict[str, int]]:
    """Let twenty guests join one server; return its session with each."""
    pair = Pair(link=link)
    credential = pair.invite(reusable=True)
    guests = [pair.add(f"guest {n}", Address("203.0.113.30", 3000 + n), link) for n in range(GUESTS)]
    sessions: dict[str, int] = {}
    for guest in guests:
        pair.join(deepcopy(credential), guest)
        pair.drive(until=lambda: len(pair.server.told(SessionOpened)) > len(sessions))
        sessions[guest.name] = pair.server.session.id
    return pair, guests, sessions


@pytest.mark.parametrize("link", [Link(), Link(loss=0.05, jitter=0.01, grain=0.001)], ids=["clear", "5%"])
def test_twenty_guests_talk_at_once(link: Link) -> None:
    pair, guests, sessions = party(link)
    up = {guest.name: guest.open(content(guest.name, 100_000), fin=True) for guest in guests}
    down = {}
    for guest in guests:
        session = pair.server.endpoint.sessions[sessions[guest.name]]
        down[guest.name] = session.open_stream()
        session.write(down[guest.name], content((guest.name, "back"), 200_000), fin=True)
    pair.drive(until=lambda: all(guest.ended(down[guest.name]) for guest in guests))
    pair.drive(until=lambda: all(pair.server.ended(up[name], session) for name, session in sessions.items()))
    for guest in guests:
        assert guest.heard(down[guest.name]) == content((guest.name, "back"), 200_000)
        assert pair.server.heard(up[guest.name], sessions[guest.name]) == content(guest.name, 100_000)
    if not link.loss:
        assert not any(sum(end.endpoint.drops.values()) for end in pair.ends)


def test_one_call_hands_over_a_bounded_share() -> None:
    pair, guests, sessions = party(Link())
    data = content("share", 1_000_000)
    for guest in guests:
        session = pair.server.endpoint.sessions[sessions[guest.name]]
        session.write(session.open_stream(), data)
    pair.drive(0.1)
    shares = []
    for _ in range(100):
        pair.drive(0.002)
        for guest in guests:
            pair.server.endpoint.sessions[sessions[guest.name]].ping()
        shares.append(len(pair.server.endpoint.transmits(now=pair.now)))
    assert max(shares) <= TRANSMITS_PER_TURN


def test_the_end_of_one_is_nothing_to_the_others() -> None:
    pair, guests, sessions = party(Link())
    for guest in guests[:10]:
        guest.session.close(now=pair.now)
    pair.drive(2)
    assert set(pair.server.endpoint.sessions) == {sessions[guest.name] for guest in guests[10:]}
    for guest in guests[10:]:
        guest.open(b"still here")
    pair.drive(1)
    assert [pair.server.heard(0, sessions[guest.name]) for guest in guests[10:]] == [b"still here"] * 10
