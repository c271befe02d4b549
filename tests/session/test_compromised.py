"""COMPROMISED: the keys go first, the last words after them; whoever hears one answers nothing."""

from __future__ import annotations

import pytest

from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import Compromised, TimedOut
from clawchat.values.events import CompromisedHeard, SessionEnded
from clawchat.values.limits import DEAD_PEER
from clawchat.values.limits_rotation import COMPROMISED_TIMES
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import CLIENT, End, Pair


def hear_and_obey(end: End) -> bool:
    return any(event.everything for event in end.told(CompromisedHeard))


def keys_left(endpoint: Endpoint) -> list[object]:
    """Everything with a key in it that an endpoint still holds."""
    left: list[object] = [*endpoint.sessions, *endpoint.armed, *endpoint._attempts]  # noqa: SLF001 - what must be gone
    left += [name for name in ("mask", "unmask") if hasattr(endpoint._own_header, name)]  # noqa: SLF001 - as above
    return left + [byte for byte in endpoint._header_key if byte]  # noqa: SLF001 - as above


def test_a_client_destroys_everything_and_the_server_hears_of_it() -> None:
    pair = Pair().handshake()
    session = pair.client.session
    pair.client.endpoint.compromise_all(now=pair.now)
    assert keys_left(pair.client.endpoint) == []
    assert not hasattr(session.machines.out._keys, "aead")  # noqa: SLF001 - what must be gone
    before = len(pair.sent_by(pair.server))
    pair.drive(3)
    assert [ended.error.told for ended in errors(pair.client)] == [False]
    assert [(ended.error.told, ended.error.everything) for ended in errors(pair.server)] == [(True, True)]
    assert hear_and_obey(pair.server)
    assert len(pair.sent_by(pair.server)) == before
    assert not pair.client.endpoint.leaving


def errors(end: End) -> list[Ended]:
    return [Ended(event) for event in end.told(SessionEnded)]


class Ended:
    """An end by COMPROMISED."""

    def __init__(self, event: SessionEnded) -> None:
        assert isinstance(event.error, Compromised)
        self.error = event.error


def test_copies_leave_at_their_times_and_no_two_are_alike() -> None:
    pair = Pair().handshake().drive(1)
    began, before = pair.now, len(pair.datagrams)
    pair.server.endpoint.compromise_all(now=pair.now)
    pair.drive(10)
    sent = pair.datagrams[before:]
    assert [round(each.at - began, 3) for each in sent] == list(COMPROMISED_TIMES)
    assert len({each.data for each in sent}) == len({each.data[:16] for each in sent}) == len(COMPROMISED_TIMES)


@pytest.mark.parametrize("lost", range(5))
def test_any_one_copy_is_enough(lost: int) -> None:
    pair = Pair().handshake().drive(1)
    pair.server.link.lose_next = lost
    pair.server.endpoint.compromise_all(now=pair.now)
    pair.drive(3)
    assert hear_and_obey(pair.client)
    assert pair.client.endpoint.sessions == {}


def test_with_every_copy_lost_the_dead_peer_time_is_the_bound() -> None:
    pair = Pair().handshake().drive(1)
    pair.outage()
    pair.client.endpoint.compromise_all(now=pair.now)
    pair.drive(5)
    pair.outage(up=True)
    assert not hear_and_obey(pair.server)
    pair.drive(DEAD_PEER - 10)
    assert pair.server.alive()
    pair.drive(10)
    assert not pair.server.alive()
    [ended] = pair.server.told(SessionEnded)
    assert isinstance(ended.error, TimedOut)


def test_every_client_of_a_server_is_told() -> None:
    pair = Pair(link=Link(loss=0.2), seed=3)
    guests = [pair.add(f"guest {n}", Address("203.0.113.30", 3000 + n), Link(loss=0.2)) for n in range(5)]
    for number, guest in enumerate(guests):
        pair.join(pair.invite(name=f"guest-{number}"), guest)
    pair.drive(until=lambda: len(pair.server.endpoint.sessions) == 5 and all(guest.opened for guest in guests))
    pair.invite(name="nobody-yet")
    pair.server.endpoint.compromise_all(now=pair.now)
    assert keys_left(pair.server.endpoint) == []
    pair.drive(3)
    assert all(map(hear_and_obey, guests))


@pytest.mark.parametrize("by", ["client", "server"])
def test_one_session_alone(by: str) -> None:
    """The other session of the server goes on, and so does what is armed."""
    pair = Pair()
    other = pair.add("other", Address("203.0.113.30", 3000))
    pair.join(pair.invite(name="other"), other)
    pair.drive(until=lambda: other.opened is not None)
    pair.handshake().drive(1)
    credential = pair.invite(name="later")
    end, peer = (pair.client, pair.server) if by == "client" else (pair.server, pair.client)
    gone = peer.session
    end.endpoint.compromise_session(end.session.id, now=pair.now)
    stream = other.open(b"still here", fin=True)
    pair.drive(3)
    assert gone.id not in peer.endpoint.sessions
    assert [event.everything for event in peer.told(CompromisedHeard)] == [False]
    assert pair.server.heard(stream, 1) == b"still here"
    later = pair.add("later", Address("203.0.113.31", 3000))
    pair.join(credential, later)
    pair.drive(until=lambda: later.opened is not None)


def test_an_old_file_gets_not_a_byte() -> None:
    pair = Pair().handshake()
    credential = pair.invite(name="left-over")
    control = pair.add("control", Address("203.0.113.70", 70))
    pair.join(pair.invite(name="control"), control)
    pair.drive(until=lambda: control.opened is not None)
    pair.server.endpoint.compromise_all(now=pair.now)
    pair.drive(3)
    before = len(pair.sent_by(pair.server))
    thief = pair.add("thief", Address("203.0.113.66", 66))
    pair.join(credential, thief)
    pair.drive(70)
    assert len(pair.sent_by(thief)) > 5
    assert len(pair.sent_by(pair.server)) == before
    assert pair.server.endpoint.drops["over"] > 5


def test_in_the_middle_of_a_transfer_nothing_more_is_said() -> None:
    pair = Pair().handshake()
    pair.client.open(content("up", 3_000_000))
    pair.server.open(content("down", 3_000_000))
    pair.drive(0.2)
    pair.client.endpoint.compromise_all(now=pair.now)
    began = pair.now
    pair.drive(10)
    mine = [sent for sent in pair.sent_by(pair.client) if sent.at >= began]
    assert len(mine) == len(COMPROMISED_TIMES)
    last_of_server = max(sent.at for sent in pair.sent_by(pair.server))
    assert last_of_server <= began + pair.client.link.delay


def test_a_replayed_or_forged_copy_does_nothing() -> None:
    pair = Pair().handshake()
    pair.client.endpoint.compromise_all(now=pair.now)
    pair.drive(3)
    other = Pair(seed=2).handshake()
    for sent in pair.sent_by(pair.client)[-5:]:
        other.inject(other.server, sent.data, CLIENT)
    other.drive(1)
    assert other.server.alive()
    assert other.server.told(CompromisedHeard) == []
