"""Networks that drop UDP, in virtual time: a WebSocket carries the session, and no longer than it has to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from clawchat.nat.reasons import Reason
from clawchat.session.config import EndpointConfig
from clawchat.session.session import Session
from clawchat.values.address import FIRST_TUNNEL, Address
from lab.model.link import Link
from lab.model.plan import plan
from lab.model.topology import Host, row
from lab.sim.cell import SETTLE, Cell, Peer
from lab.sim.internet import Internet
from lab.sim.party import Party
from lab.sim.stream import RETRANSMISSION, open_websocket
from tests.lab.test_sim_failover import Talk

BLOCKED = ("udp-blocked", "udp-blocked-443")
OTHERS = ("open", "port-restricted", "symmetric-random", *BLOCKED)


def tunnelled(end: Peer) -> bool:
    return end.session.machines.tunnelled


@pytest.mark.parametrize(("client", "server"), [*product(BLOCKED, OTHERS), *product(OTHERS, BLOCKED)])
def test_whoever_is_blocked_is_carried_by_websocket(client: str, server: str) -> None:
    cell = Cell(client, server).run(wait=4.0)
    assert cell.verdict == "relay"
    assert (tunnelled(cell.client), tunnelled(cell.server)) == (client in BLOCKED, server in BLOCKED)
    assert cell.client.opened_at is not None
    assert cell.client.opened_at - SETTLE < 1.0
    if client in BLOCKED:
        assert cell.reason is Reason.UDP_BLOCKED


@pytest.mark.parametrize("loss", [0.0, 0.05])
def test_bytes_pass_both_ways_even_where_segments_are_lost(loss: float) -> None:
    cell = Cell("udp-blocked", "udp-blocked", loss=loss, delay=0.02).run(wait=4.0)
    up, down = (Talk(cell, *ends, 100) for ends in ((cell.client, cell.server), (cell.server, cell.client)))
    cell.go_on(20)
    assert (bytes(cell.server.received), bytes(cell.client.received)) == (bytes(up.sent), bytes(down.sent))


@pytest.mark.parametrize(("client", "server"), [("port-restricted", "port-restricted"), ("open", "symmetric-random")])
def test_udp_that_begins_to_pass_ends_the_websocket_and_then_the_relay(client: str, server: str) -> None:
    cell = Cell(client, server)
    cell.net.passes = lambda _datagram: False
    cell.run(wait=8.0)
    assert tunnelled(cell.client)
    assert tunnelled(cell.server)
    talk = Talk(cell, cell.client, cell.server, 600)
    cell.net.passes = lambda _datagram: True
    assert cell.net.run(cell.net.now + 10, stop=lambda: cell.direct_both)
    cell.go_on(20)
    assert not any(each.path.tunnelled for end in (cell.client, cell.server) for each in sessions(end))
    assert bytes(cell.server.received) == bytes(talk.sent)


def test_the_port_of_a_hard_nat_is_guessed_once_udp_passes() -> None:
    """What a relay sees of our ports has to be asked anew: by WebSocket it saw none."""
    cell = Cell("port-restricted", "symmetric-random")
    cell.net.passes = lambda _datagram: False
    cell.run(wait=8.0)
    cell.net.passes = lambda _datagram: True
    assert cell.net.run(cell.net.now + 15, stop=lambda: cell.direct_both)
    assert cell.reason is Reason.GUESSED


def test_a_relay_that_udp_reaches_is_better_than_one_by_websocket() -> None:
    cell = Cell("port-restricted", "symmetric-random", relays=2, config=EndpointConfig(punch=False))
    cell.net.passes = lambda _datagram: False
    cell.run(wait=3.0)
    first = cell.relay_of(cell.client)
    assert first is not None
    talk = Talk(cell, cell.client, cell.server, 3000)
    hidden = {address.host for address in first.addresses}
    cell.net.passes = lambda each: not {each.source.host, each.destination.host} & hidden
    cell.go_on(45)
    assert cell.relay_of(cell.client) not in {first, None}
    assert not tunnelled(cell.client)
    assert [event.why for _, event in cell.client.moves] == [Reason.RELAY_CHANGED]
    cell.go_on(30)
    assert bytes(cell.server.received) == bytes(talk.sent)


def test_where_udp_works_no_websocket_is_opened() -> None:
    for client, server in product(("open", "port-restricted", "symmetric-random"), repeat=2):
        cell = Cell(client, server).run(wait=4.0)
        assert not any(each.path.tunnelled for end in (cell.client, cell.server) for each in sessions(end))


def test_what_follows_a_lost_segment_waits_for_it() -> None:
    class Plain(Party):
        """A party whose WebSocket brings what it is told to send, whatever that is."""

        def __init__(self, node: str, host: str) -> None:
            super().__init__(net, node, host, lambda _event: None)
            self.got: list[tuple[float, int]] = []
            self.out: Callable[[bytes], None] = lambda _data: None

        def open_tunnel(self, send: Callable[[bytes], None]) -> int:
            self.out = send
            return super().open_tunnel(send)

        def arrived(self, handle: int, remote: Address, data: bytes) -> None:
            assert remote.port == 0
            assert handle >= FIRST_TUNNEL
            self.got.append((net.now, data[0]))

    net = Internet(plan(row(["open"], hosts=[Host("relay", 1, Link(delay=0.05, loss=0.3))])), seed=3)
    relay = Plain("relay", net.plan.hosts["relay"].addresses[0])
    member = Plain("g1-a", net.plan.peers["g1-a"].address)
    open_websocket(net, member, relay, lambda _path: None)
    net.run(1.0)
    for number in range(50):
        member.out(bytes((number,)))
    net.run(30.0)
    assert [number for _, number in relay.got] == list(range(50))
    assert relay.got[-1][0] >= 1.0 + 0.05 + RETRANSMISSION
    assert [at for at, _ in relay.got] == sorted(at for at, _ in relay.got)


def sessions(end: Peer) -> list[Session]:
    return list(end.party.endpoint.sessions.values())
