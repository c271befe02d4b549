"""What is over is forgotten: a long life costs no more memory than a short one."""

from __future__ import annotations

from clawchat.values.address import Address
from clawchat.values.limits import DEAD_PEER
from tests.support.link import Link
from tests.support.pair import End, Pair
from tests.support.state import state_of


def weight(end: End) -> int:
    return len(repr(state_of(end.endpoint)))


def test_streams_that_are_done_leave_nothing_behind() -> None:
    pair = Pair(link=Link(loss=0.05, jitter=0.01, duplicate=0.02)).handshake()
    client, server = pair.client.session, pair.server.session
    weights = []
    for _ in range(3):
        for number in range(50):
            stream = pair.client.open(b"question", fin=True)
            pair.drive(until=lambda: pair.server.ended(stream))  # noqa: B023 - called at once
            server.write(stream, b"answer", fin=True)
            client.ping(number)
            client.send_datagram(b"by the way")
            client.room(stream)
            if number % 10 == 0:
                given_up, unwanted = pair.client.open(b"never mind"), pair.server.open(b"listen")
                client.reset(given_up)
                pair.drive(0.5)
                server.reset(given_up)
                client.stop(unwanted)
                client.write(unwanted, b"no", fin=True)
        pair.drive(5)
        weights.append((weight(pair.client), weight(pair.server)))
    for before, after in zip(weights[0], weights[-1], strict=True):
        assert after < 1.3 * before


def test_sessions_that_are_over_leave_nothing_behind() -> None:
    pair = Pair()
    before = weight(pair.server)
    for number in range(30):
        guest = pair.add(f"guest {number}", Address("203.0.113.40", 4000 + number))
        pair.join(pair.invite(name=f"guest-{number}"), guest)
        pair.drive(1)
        guest.open(bytes(20_000))
        pair.drive(1)
        guest.session.close(now=pair.now, at_once=number % 2 == 0)
        pair.drive(1)
    pair.drive(DEAD_PEER)
    assert not pair.server.endpoint.sessions
    assert weight(pair.server) < before + 300  # names of buffers
    assert pair.server.endpoint.next_timeout() is None
