"""HELLO, WELCOME, and the first packet that confirms: one round trip, one guest, and silence for all others."""

from __future__ import annotations

from copy import deepcopy

import pytest

from clawchat.crypto.credential import Credential
from clawchat.session.config import EndpointConfig
from clawchat.values.address import Address
from clawchat.values.errors import HandshakeFailed
from clawchat.values.events import Role, SessionEnded, SessionOpened, SlotConfirmed
from clawchat.values.limits import HALF_OPEN_LIFE, HANDSHAKE_TIMEOUT, MAX_HALF_OPEN, MAX_HELLO, MIN_HELLO
from tests.support.link import Link
from tests.support.pair import START, End, Pair

MALLORY = Address("203.0.113.66", 50_066)


def joined(end: End) -> bool:
    return end.opened is not None


def test_one_round_trip() -> None:
    pair = Pair(link=Link(delay=0.1))
    pair.join(pair.invite())
    pair.drive(0.0)
    assert [sent.sender for sent in pair.datagrams] == ["client"]
    pair.drive(0.1)
    assert [sent.sender for sent in pair.datagrams] == ["client", "server"]
    assert not joined(pair.server)
    pair.drive(0.1)
    assert joined(pair.client)
    pair.drive(0.1)
    assert joined(pair.server)
    assert {end.told(SessionOpened)[0].words for end in pair.ends} == {pair.client.session.words}
    assert [end.told(SessionOpened)[0].role for end in pair.ends] == [Role.INITIATOR, Role.RESPONDER]


def test_the_first_data_goes_with_the_confirmation() -> None:
    pair = Pair(link=Link(delay=0.1))
    pair.join(pair.invite())
    pair.drive(until=lambda: joined(pair.client))
    stream = pair.client.open(b"first", fin=True)
    pair.drive(until=lambda: joined(pair.server))
    assert pair.now == pytest.approx(START + 0.3)
    assert pair.server.heard(stream) == b"first"
    assert pair.client.session.stats(now=pair.now).rtt == pytest.approx(0.2)


def test_the_client_learns_its_address_and_the_server_its_slot() -> None:
    here = Address("2001:db8::5", 4000)
    pair = Pair(config=EndpointConfig(candidates=[here]))
    credential = pair.invite(name="ann")
    pair.join(credential)
    pair.drive()
    assert pair.client.session.observed == pair.client.address
    assert pair.client.session.peer_candidates == (here,)
    assert pair.server.session.identity.slot_name == "ann"
    assert pair.server.told(SlotConfirmed) == [SlotConfirmed(credential.slot_id, pair.server.session.id)]
    assert pair.server.endpoint.armed == []


def test_every_candidate_is_asked_and_the_one_that_answers_is_used() -> None:
    pair = Pair()
    nobody = [Address("203.0.113.1", 1), Address("203.0.113.2", 2)]
    pair.join(pair.invite(at=[*nobody, pair.server.address]))
    pair.drive(0)
    assert [sent.path.remote for sent in pair.datagrams] == [*nobody, pair.server.address]
    assert len({sent.data for sent in pair.datagrams}) == 1
    pair.drive()
    assert pair.client.session.path.remote == pair.server.address


def test_a_server_behind_two_addresses_opens_one_session() -> None:
    pair = Pair()
    pair.server.ports[1] = Address("198.51.100.1", 50_002)
    pair.join(pair.invite(at=pair.server.ports.values()))
    pair.drive()
    assert len(pair.server.endpoint.sessions) == 1
    assert pair.server.endpoint.drops["repeat"] == 1


# --- loss ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_lost_hello_is_said_again(lost: int) -> None:
    pair = Pair()
    pair.client.link.lose_next = lost
    pair.handshake()
    assert len({sent.data for sent in pair.sent_by(pair.client)[: lost + 1]}) == lost + 1


@pytest.mark.parametrize("lost", [1, 2, 5])
def test_a_lost_welcome_is_answered_anew(lost: int) -> None:
    pair = Pair()
    pair.server.link.lose_next = lost
    pair.handshake()
    pair.drive(HALF_OPEN_LIFE + 1)
    assert len(pair.server.endpoint.sessions) == 1
    assert pair.client.session.words == pair.server.session.words


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_a_lost_confirmation_is_repeated(lost: int) -> None:
    pair = Pair()
    pair.join(pair.invite())
    pair.drive(until=lambda: bool(pair.sent_by(pair.server)))
    pair.client.link.lose_next = lost
    pair.drive(until=lambda: joined(pair.server), limit=HALF_OPEN_LIFE)
    stream = pair.server.open(b"hello")
    pair.drive()
    assert pair.client.heard(stream) == b"hello"


def test_a_late_welcome_still_counts() -> None:
    """The answer to the first HELLO comes after the second HELLO has gone out."""
    pair = Pair(link=Link(delay=0.4)).handshake()
    hellos = [sent for sent in pair.sent_by(pair.client) if sent.at < START + 0.8]
    assert len(hellos) == 2
    pair.drive(HALF_OPEN_LIFE + 1)
    assert len(pair.server.endpoint.sessions) == 1
    stream = pair.client.open(b"hello")
    pair.drive()
    assert pair.server.heard(stream) == b"hello"


def test_nobody_there_fails_at_the_deadline() -> None:
    pair = Pair()
    credential = pair.invite()
    pair.server.link.up = False
    session = pair.join(credential)
    pair.drive(HANDSHAKE_TIMEOUT + 1)
    ended = pair.client.told(SessionEnded)
    assert [event.session for event in ended] == [session]
    assert isinstance(ended[0].error, HandshakeFailed)
    assert pair.trace[-1].at == pytest.approx(START + HANDSHAKE_TIMEOUT)
    assert pair.client.endpoint.next_timeout() is None
    assert not pair.client.endpoint.sessions
    assert 12 <= len(pair.sent_by(pair.client)) <= 20


def test_an_abandoned_handshake_is_silent() -> None:
    pair = Pair(link=Link(up=False))
    session = pair.join(pair.invite())
    pair.drive(1)
    said = len(pair.datagrams)
    pair.client.endpoint.abandon(session)
    pair.drive(60)
    assert len(pair.datagrams) == said
    assert not pair.client.events


def test_a_confirmation_that_never_arrives_fails_the_handshake() -> None:
    """The server has forgotten: the client must not hold a session that can't come to life."""
    pair = Pair()
    pair.join(pair.invite())
    pair.drive(until=lambda: bool(pair.sent_by(pair.server)))
    pair.client.link.up = False
    pair.drive(HALF_OPEN_LIFE + 1)
    assert pair.client.alive()
    assert not pair.server.endpoint.sessions
    pair.client.link.up = True
    pair.drive(30)
    assert not pair.client.alive()
    assert isinstance(pair.client.told(SessionEnded)[0].error, HandshakeFailed)


# --- rivals -------------------------------------------------------------------------------------------


def test_the_first_to_confirm_burns_the_slot() -> None:
    pair = Pair()
    mallory = pair.add("mallory", MALLORY, Link(delay=0.02))
    credential = pair.invite()
    pair.join(deepcopy(credential), mallory)
    pair.drive(0.03)
    pair.join(credential)
    pair.drive(60)
    assert [event.slot_id for event in pair.server.told(SlotConfirmed)] == [credential.slot_id]
    assert len(pair.server.endpoint.sessions) == 1
    assert pair.server.session.path.remote == MALLORY
    assert not pair.client.alive()


def test_a_half_open_rival_is_dropped_when_the_slot_burns() -> None:
    """Both have a WELCOME; the slower one's packets are a stranger's from then on."""
    pair = Pair()
    mallory = pair.add("mallory", MALLORY, Link(delay=0.02))
    credential = pair.invite()
    pair.join(deepcopy(credential), mallory)
    pair.join(credential)
    pair.drive(0)
    mallory.link.delay = 0.5
    pair.drive(until=lambda: joined(pair.client) and joined(mallory) and joined(pair.server))
    answered = len([sent for sent in pair.sent_by(pair.server) if sent.path.remote == MALLORY])
    pair.drive(30)
    assert list(pair.server.endpoint.sessions) == [pair.server.session.id]
    assert pair.server.session.path.remote == pair.client.address
    assert len([sent for sent in pair.sent_by(pair.server) if sent.path.remote == MALLORY]) == answered
    assert not mallory.alive()


def test_a_disarmed_slot_lets_nobody_in_who_has_not_confirmed() -> None:
    pair = Pair()
    credential = pair.invite()
    pair.join(credential)
    pair.drive(until=lambda: bool(pair.sent_by(pair.server)))
    pair.server.endpoint.disarm(credential.slot_id)
    pair.drive(30)
    assert not pair.server.endpoint.sessions
    assert not pair.server.events


def test_a_reusable_slot_serves_one_after_the_other() -> None:
    pair = Pair()
    credential = pair.invite(reusable=True)
    guests = [pair.add(f"guest {n}", Address("203.0.113.10", 1000 + n)) for n in range(5)]
    for guest in guests:
        pair.join(deepcopy(credential), guest)
    pair.drive()
    assert all(guest.alive() for guest in guests)
    assert len(pair.server.endpoint.sessions) == 5
    assert pair.server.endpoint.armed == [credential.slot_id]


# --- limits -------------------------------------------------------------------------------------------


def hellos(credential: Credential, count: int) -> list[bytes]:
    """Make that many different HELLOs."""
    elsewhere = Pair(seed=99)
    for _ in range(count):
        elsewhere.join(deepcopy(credential))
    elsewhere.drive(0)
    return [sent.data for sent in elsewhere.datagrams]


def test_a_hello_is_answered_once() -> None:
    pair = Pair()
    said = hellos(pair.invite(), 1)[0]
    for _ in range(10):
        pair.inject(pair.server, said, MALLORY)
        pair.drive(0.01)
    assert len(pair.sent_by(pair.server)) == 1
    assert pair.server.endpoint.drops["repeat"] == 9
    pair.drive(60)
    assert not pair.server.endpoint.sessions
    pair.inject(pair.server, said, MALLORY)
    pair.drive(0.01)
    assert len(pair.sent_by(pair.server)) == 1


def test_a_welcome_is_never_longer_than_its_hello() -> None:
    pair = Pair(config=EndpointConfig(handshake_burst=10**6, max_half_open=10**6, candidates=[MALLORY] * 16))
    credential = pair.invite()
    for said in hellos(credential, 300):
        assert MIN_HELLO <= len(said) <= MAX_HELLO
        pair.inject(pair.server, said, MALLORY)
        pair.serve(pair.server)
        assert MIN_HELLO <= len(pair.datagrams[-1].data) <= len(said)
    assert len(pair.datagrams) == 300
    assert len({len(sent.data) for sent in pair.datagrams}) > 100


def test_half_open_handshakes_are_few_and_short_lived() -> None:
    pair = Pair()
    said = hellos(pair.invite(), MAX_HALF_OPEN + 5)
    for datagram in said:
        pair.inject(pair.server, datagram, MALLORY)
    pair.drive(0)
    assert len(pair.server.endpoint.sessions) == MAX_HALF_OPEN == len(pair.datagrams)
    assert pair.server.endpoint.drops["full"] == 5
    pair.drive(HALF_OPEN_LIFE + 0.1)
    assert not pair.server.endpoint.sessions
    pair.inject(pair.server, said[-1], MALLORY)
    pair.drive(0)
    assert len(pair.server.endpoint.sessions) == 1
    assert not pair.server.events


def test_handshakes_have_a_budget() -> None:
    pair = Pair(config=EndpointConfig(max_half_open=1000, handshake_rate=20, handshake_burst=40))
    said = hellos(pair.invite(), 100)
    for datagram in said:
        pair.inject(pair.server, datagram, MALLORY)
    pair.drive(0)
    assert len(pair.datagrams) == 40
    assert pair.server.endpoint.drops["budget"] == 60
    pair.drive(0.5)
    for datagram in said[40:]:
        pair.inject(pair.server, datagram, MALLORY)
    pair.drive(0)
    assert len(pair.datagrams) == 50


def test_an_empty_budget_locks_nobody_out_who_is_in() -> None:
    pair = Pair(config=EndpointConfig(handshake_rate=0.0, handshake_burst=1)).handshake()
    for datagram in hellos(pair.invite(name="other"), 30):
        pair.inject(pair.server, datagram, MALLORY)
    stream = pair.client.open(b"still here")
    pair.drive()
    assert pair.server.heard(stream) == b"still here"
    assert pair.server.endpoint.drops["budget"] == 30


def test_an_expired_slot_is_silent() -> None:
    pair = Pair()
    credential = pair.invite(life=5)
    pair.drive(5)
    assert pair.server.endpoint.armed == []
    pair.join(credential)
    pair.drive(60)
    assert not pair.sent_by(pair.server)
    assert set(pair.server.endpoint.drops) == {"unknown"}


def test_a_full_house_takes_nobody() -> None:
    pair = Pair(config=EndpointConfig(max_sessions=1)).handshake()
    mallory = pair.add("mallory", MALLORY)
    pair.join(pair.invite(name="second"), mallory)
    pair.drive(10)
    assert not joined(mallory)
    assert pair.server.endpoint.drops["full"] >= 1


def test_a_changed_network_hurries_the_next_hello() -> None:
    pair = Pair()
    pair.client.link.up = False
    pair.join(pair.invite())
    pair.drive(12)
    said = len(pair.datagrams)
    pair.client.link.up = True
    pair.client.endpoint.network_changed(now=pair.now)
    pair.drive(0.1)
    assert joined(pair.server)
    assert len(pair.sent_by(pair.client)) > said
