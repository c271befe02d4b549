"""Addresses change under a session: it follows its peer, and only its peer, and loses nothing on the way."""

from __future__ import annotations

import pytest

from clawchat.nat.path import PATH_PACKET
from clawchat.values.address import Address
from clawchat.values.events import PathChanged, PingAnswered
from clawchat.values.limits import ANTI_AMPLIFICATION, BASE_DATAGRAM
from tests.session.test_transfer import content
from tests.support.link import Link
from tests.support.pair import SERVER, End, Pair

ELSEWHERE = Address("203.0.113.200", 40_000)
MALLORY = Address("203.0.113.66", 50_066)


def bytes_to(pair: Pair, address: Address) -> int:
    return sum(len(sent.data) for sent in pair.datagrams if sent.path.remote == address)


def watch_amplification(pair: Pair, end: End, address: Address) -> None:
    """Until its path changes, an end sends an address at most three times what came from there."""
    moved = [told.at for told in pair.trace if told.end == end.name and "PathChanged" in told.event]
    until = moved[0] if moved else float("inf")
    sent = sum(len(s.data) for s in pair.sent_by(end) if s.path.remote == address and s.at < until)
    heard = sum(len(s.data) for s in pair.datagrams if s.source == address for at in s.arrivals if at <= until)
    assert sent <= ANTI_AMPLIFICATION * heard


@pytest.mark.parametrize("loss", [0.0, 0.1])
@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_a_client_that_roams_in_mid_transfer_loses_nothing(way: str, loss: float) -> None:
    pair = Pair(seed=3, link=Link(loss=loss, jitter=0.005)).handshake()
    up = pair.client.open(content("up", 400_000), fin=True) if way != "down" else None
    down = pair.server.open(content("down", 400_000), fin=True) if way != "up" else None
    pair.drive(0.12)
    pair.client.ports[0] = ELSEWHERE
    pair.drive(until=lambda: bool(pair.server.told(PathChanged)), limit=30)
    assert pair.server.session.path.remote == ELSEWHERE
    watch_amplification(pair, pair.server, ELSEWHERE)
    pair.drive(
        until=lambda: (up is None or pair.server.ended(up)) and (down is None or pair.client.ended(down)), limit=120
    )
    if up is not None:
        assert pair.server.heard(up) == content("up", 400_000)
    if down is not None:
        assert pair.client.heard(down) == content("down", 400_000)
    assert [event.why for event in pair.server.told(PathChanged)] == ["roamed"]
    assert not pair.client.told(PathChanged)


def test_a_new_address_is_challenged_before_it_is_used() -> None:
    pair = Pair().handshake()
    pair.drive()
    pair.client.ports[0] = ELSEWHERE
    stream = pair.client.open(b"from elsewhere")
    big = pair.server.open(bytes(50_000))
    begun = len(pair.datagrams)
    pair.drive(0.03)
    assert pair.server.heard(stream) == b"from elsewhere"
    assert pair.server.session.path.remote != ELSEWHERE
    to_new = [sent for sent in pair.datagrams[begun:] if sent.path.remote == ELSEWHERE]
    (challenge,) = to_new
    assert len(challenge.data) <= PATH_PACKET
    pair.drive()
    assert pair.server.session.path.remote == ELSEWHERE
    assert pair.client.heard(big) == bytes(50_000)


def test_a_server_that_moves_is_followed_too() -> None:
    pair = Pair().handshake()
    pair.drive()
    pair.server.ports[0] = ELSEWHERE
    stream = pair.server.open(content("down", 100_000), fin=True)
    pair.drive(until=lambda: pair.client.ended(stream))
    assert pair.client.heard(stream) == content("down", 100_000)
    assert pair.client.session.path.remote == ELSEWHERE


def test_a_client_may_roam_before_it_has_confirmed() -> None:
    pair = Pair()
    pair.join(pair.invite())
    pair.drive(until=lambda: bool(pair.sent_by(pair.server)))
    pair.client.ports[0] = ELSEWHERE
    pair.drive(until=lambda: pair.server.opened is not None)
    stream = pair.client.open(b"from elsewhere")
    pair.drive()
    assert pair.server.heard(stream) == b"from elsewhere"
    assert pair.server.session.path.remote == ELSEWHERE
    watch_amplification(pair, pair.server, ELSEWHERE)


def test_a_silent_client_that_moved_is_found_again_by_its_keepalive() -> None:
    pair = Pair().handshake()
    pair.drive()
    pair.client.ports[0] = ELSEWHERE
    stream = pair.server.open(b"where are you?")
    pair.drive(until=lambda: bool(pair.client.heard(stream)), limit=20)
    assert pair.server.session.path.remote == ELSEWHERE


def test_a_wanderer_is_followed_through_ten_networks() -> None:
    pair = Pair(link=Link(loss=0.05)).handshake()
    data = content("wanderer", 1_000_000)
    stream = pair.server.open(data, fin=True)
    for step in range(10):
        pair.drive(0.3)
        pair.client.ports[0] = Address("203.0.113.100", 41_000 + step)
    pair.drive(until=lambda: pair.client.ended(stream), limit=200)
    assert pair.client.heard(stream) == data
    assert pair.server.session.path.remote == pair.client.address


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize("delay", [0.02, 0.2, 0.5])
def test_two_ends_never_chase_each_other_between_two_paths(delay: float, *, busy: bool) -> None:
    """One packet comes by another port of the server, where everything works just as well."""
    pair = Pair(link=Link(delay=delay)).handshake()
    pair.drive()
    pair.server.ports[1] = Address(SERVER.host, 50_555)
    diverted = next_datagram(pair)
    streams = [end.open(content(end.name, 2_000_000), fin=True) for end in pair.ends] if busy else []
    pair.inject(pair.server, diverted, pair.client.address, port=1)
    pair.drive(8)
    begun = len(pair.datagrams)
    moves = sum(len(end.told(PathChanged)) for end in pair.ends)
    pair.drive()
    assert moves <= 4
    if busy:
        assert pair.client.heard(streams[1]) == content("server", 2_000_000)
    else:
        assert len(pair.datagrams) == begun
    stream = pair.server.open(b"from whichever port")
    pair.drive()
    assert pair.client.heard(stream) == b"from whichever port"
    assert sum(len(end.told(PathChanged)) for end in pair.ends) == moves


def next_datagram(pair: Pair) -> bytes:
    """Return a datagram of the client's that has not reached the server, and never will."""
    pair.client.link.lose_next = 1
    pair.client.session.send_datagram(b"fresh")
    pair.drive(0.0)
    return pair.sent_by(pair.client)[-1].data


# --- somebody else ------------------------------------------------------------------------------------


def test_replayed_packets_from_elsewhere_move_nothing() -> None:
    pair = Pair().handshake()
    stream = pair.client.open(bytes(100_000), fin=True)
    pair.drive()
    assert pair.server.ended(stream)
    copies = [sent.data for sent in pair.sent_by(pair.client) if sent.arrivals]
    before = pair.server.session.stats(now=pair.now)
    for data in copies:
        pair.inject(pair.server, data, MALLORY)
    pair.serve(pair.server)
    assert bytes_to(pair, MALLORY) == 0
    assert pair.server.session.stats(now=pair.now) == before
    assert pair.server.endpoint.drops["replay"] == len(copies) - 1


def test_a_diverted_packet_gets_its_source_a_challenge_and_no_more() -> None:
    """Mallory is on the path, holds a packet back and sends it from where it can't receive."""
    pair = Pair().handshake()
    pair.drive()
    home = pair.client.address
    diverted = next_datagram(pair)
    pair.inject(pair.server, diverted, MALLORY)
    stream = pair.server.open(bytes(30_000), fin=True)
    pair.drive(20)
    assert 0 < bytes_to(pair, MALLORY) <= ANTI_AMPLIFICATION * len(diverted)
    assert pair.server.session.path.remote == home
    assert pair.client.ended(stream)
    assert not pair.server.told(PathChanged)


def test_many_spoofed_sources_are_not_an_amplifier() -> None:
    pair = Pair().handshake()
    pair.drive()
    for number in range(40):
        source = Address("203.0.113.66", 50_000 + number)
        diverted = next_datagram(pair)
        pair.inject(pair.server, diverted, source)
        pair.drive(0.5)
        assert bytes_to(pair, source) <= ANTI_AMPLIFICATION * len(diverted)
    pair.drive(5)
    assert pair.server.session.path.remote == pair.client.address
    assert pair.client.alive()


def test_an_answer_to_a_forgotten_challenge_moves_nothing() -> None:
    pair = Pair(link=Link(delay=0.2)).handshake()
    pair.drive()
    home = pair.client.address
    pair.client.ports[0] = ELSEWHERE
    pair.client.session.ping(1)
    pair.drive(0.3)
    pair.client.ports[0] = home
    pair.client.session.ping(2)
    pair.drive()
    assert pair.server.session.path.remote == home
    assert {event.token for event in pair.client.told(PingAnswered)} == {1, 2}


def test_what_another_path_carried_says_nothing_about_this_one() -> None:
    """The answer to an MTU probe comes late, when the session has moved on."""
    pair = Pair().handshake()
    pair.drive(1)
    pair.server.open(b"something to measure the path with")
    pair.drive(until=lambda: any(len(sent.data) > BASE_DATAGRAM for sent in pair.sent_by(pair.server)))
    pair.client.link.delay = 1.0
    pair.drive(0.03)
    pair.client.link.delay = 0.02
    pair.client.ports[0] = ELSEWHERE
    pair.server.link.mtu = BASE_DATAGRAM
    pair.client.session.ping()
    pair.drive(2)
    assert pair.server.session.path.remote == ELSEWHERE
    assert pair.server.session.stats(now=pair.now).datagram_size == BASE_DATAGRAM


def test_a_path_starts_from_the_base_size_again() -> None:
    pair = Pair().handshake()
    pair.server.open(b"something to measure the path with")
    pair.drive()
    assert pair.server.session.stats(now=pair.now).datagram_size > BASE_DATAGRAM
    pair.client.ports[0] = ELSEWHERE
    pair.server.link.mtu = BASE_DATAGRAM
    stream = pair.server.open(content("narrow", 200_000), fin=True)
    pair.client.session.ping(1)
    pair.drive(until=lambda: pair.client.ended(stream), limit=20)
    assert pair.client.heard(stream) == content("narrow", 200_000)
    assert pair.server.session.stats(now=pair.now).datagram_size == BASE_DATAGRAM
