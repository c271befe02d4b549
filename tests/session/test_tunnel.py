"""Sessions on WebSockets: to the core, a port and an address like any other, and the one to be left first."""

from __future__ import annotations

from clawchat.values.address import FIRST_TUNNEL, Address, Path
from clawchat.values.events import PathChanged
from clawchat.values.limits import MAX_DATAGRAM
from tests.session.test_transfer import content
from tests.support.pair import CLIENT, SERVER, Pair

CLOSED = Address("198.51.100.7", 50_007)
"""Where the server would like to be reached by UDP, and is not."""

BEHIND, FRONT = Address(CLIENT.host, 0), Address(SERVER.host, 0)
"""The two ends of the WebSocket."""


def tunnelled() -> Pair:
    """Bring a session up whose client can't reach the server by UDP."""
    pair = Pair()
    pair.client.ports[FIRST_TUNNEL] = BEHIND
    pair.server.ports[FIRST_TUNNEL] = FRONT
    attempt = pair.join(pair.invite(at=[CLOSED]))
    pair.drive(0.3)
    pair.client.endpoint.try_path(attempt, Path(FIRST_TUNNEL, FRONT), now=pair.now)
    return pair.drive(until=lambda: pair.client.opened is not None and pair.server.opened is not None)


def test_a_handshake_goes_by_websocket_when_udp_brings_no_answer() -> None:
    pair = tunnelled()
    assert pair.client.session.path == Path(FIRST_TUNNEL, FRONT)
    assert pair.server.session.path == Path(FIRST_TUNNEL, BEHIND)
    assert pair.client.session.machines.tunnelled
    assert pair.client.session.observed is None, "the port of a TCP connection is of no use to anybody"
    assert pair.client.endpoint.sessions[pair.client.session.id].stats(now=pair.now).datagram_size == MAX_DATAGRAM


def test_a_websocket_gets_a_hello_of_its_own() -> None:
    """Of two copies of one HELLO only the first is answered, and by UDP that answer may be lost."""
    pair = tunnelled()
    hellos = [sent for sent in pair.sent_by(pair.client) if sent.path.remote in {CLOSED, FRONT}]
    by_udp = {sent.data for sent in hellos if sent.path.remote == CLOSED}
    assert by_udp
    assert not by_udp & {sent.data for sent in hellos if sent.path.remote == FRONT}


def test_nothing_is_probed_for_its_size_where_tcp_cuts_as_it_likes() -> None:
    pair = tunnelled()
    stream = pair.client.open(content("up", 100_000), fin=True)
    pair.drive(until=lambda: pair.server.ended(stream))
    assert pair.server.heard(stream) == content("up", 100_000)
    assert {len(sent.data) for sent in pair.sent_by(pair.client)} >= {MAX_DATAGRAM}
    pair.drive()
    assert pair.client.session.idle, "no probe was lost"


def test_a_session_leaves_its_websocket_for_udp_in_the_middle_of_a_transfer() -> None:
    pair = tunnelled()
    up = pair.client.open(content("up", 2_000_000), fin=True)
    down = pair.server.open(content("down", 2_000_000), fin=True)
    pair.drive(0.1)
    session = pair.client.session.id
    pair.client.endpoint.try_path(session, Path(0, CLOSED), now=pair.now)
    pair.drive(0.1)
    assert pair.client.session.path.tunnelled, "nothing answers there yet"
    pair.server.ports[0] = CLOSED
    pair.client.endpoint.try_path(session, Path(0, CLOSED), now=pair.now)
    pair.drive(until=lambda: pair.server.ended(up) and pair.client.ended(down), limit=60)
    assert pair.client.session.path == Path(0, CLOSED)
    assert pair.server.session.path == Path(0, CLIENT)
    assert pair.server.heard(up) == content("up", 2_000_000)
    assert pair.client.heard(down) == content("down", 2_000_000)
    assert [event.why for event in pair.client.told(PathChanged)] == ["roamed"]


def test_an_idle_session_leaves_its_websocket_at_both_ends() -> None:
    pair = tunnelled().drive()
    pair.server.ports[0] = CLOSED
    pair.client.endpoint.try_path(pair.client.session.id, Path(0, CLOSED), now=pair.now)
    pair.drive(1.0)
    assert not pair.client.session.path.tunnelled
    assert not pair.server.session.path.tunnelled


def test_a_session_whose_udp_falls_silent_moves_to_a_websocket() -> None:
    pair = Pair()
    pair.client.ports[FIRST_TUNNEL] = BEHIND
    pair.server.ports[FIRST_TUNNEL] = FRONT
    pair.handshake().drive()
    pair.client.ports[0], pair.server.ports[0] = Address("203.0.113.10", 1), Address("198.51.100.10", 1)
    stream = pair.client.open(content("up", 50_000), fin=True)
    pair.drive(2.0)
    pair.client.endpoint.try_path(pair.client.session.id, Path(FIRST_TUNNEL, FRONT), now=pair.now)
    pair.drive(until=lambda: pair.server.ended(stream), limit=30)
    assert pair.server.heard(stream) == content("up", 50_000)
    assert pair.server.session.path.tunnelled
