"""The program says that the network changed: the session shows itself at once, whatever it was waiting for."""

from __future__ import annotations

import pytest

from tests.support.link import Link
from tests.support.pair import Pair

SIZE = 4 << 20
ROUND_TRIP = 0.040


@pytest.mark.parametrize("outage", [0.5, 5.0, 40.0])
def test_a_sender_with_a_full_window_goes_on_at_once(outage: float) -> None:
    pair = Pair(link=Link(delay=ROUND_TRIP / 2)).handshake()
    stream = pair.client.open(bytes(SIZE), fin=True)
    pair.drive(until=lambda: len(pair.server.heard(stream)) > SIZE // 4)
    pair.outage()
    pair.drive(outage)
    before = len(pair.server.heard(stream))
    pair.outage(up=True)
    pair.client.endpoint.network_changed(now=pair.now)
    pair.drive(2 * ROUND_TRIP)
    assert len(pair.server.heard(stream)) > before
    pair.drive(until=lambda: pair.server.ended(stream))


def test_a_receiver_shows_its_new_address_at_once() -> None:
    pair = Pair(link=Link(delay=ROUND_TRIP / 2)).handshake()
    stream = pair.server.open(bytes(SIZE), fin=True)
    pair.drive(until=lambda: len(pair.client.heard(stream)) > SIZE // 4)
    pair.client.ports[0] = pair.client.address._replace(host="203.0.113.77")
    pair.client.endpoint.network_changed(now=pair.now)
    pair.drive(3 * ROUND_TRIP)
    assert pair.server.session.path.remote == pair.client.address
    pair.drive(until=lambda: pair.client.ended(stream))


@pytest.mark.parametrize("outage", [3.0, 40.0])
def test_what_a_peer_missed_is_sent_as_soon_as_it_is_back(outage: float) -> None:
    """The peer has nothing new to acknowledge: it only shows itself, and the next probe is up to two seconds away."""
    pair = Pair(link=Link(delay=ROUND_TRIP / 2)).handshake()
    pair.drive(1.0)
    pair.outage()
    stream = pair.client.open(b"missed", fin=True)
    pair.drive(outage)
    probes = pair.client.session.machines.recovery.packets_sent
    pair.drive(until=lambda: pair.client.session.machines.recovery.packets_sent > probes)
    pair.outage(up=True)
    pair.server.endpoint.network_changed(now=pair.now)
    pair.drive(2 * ROUND_TRIP)
    assert pair.server.heard(stream) == b"missed"
