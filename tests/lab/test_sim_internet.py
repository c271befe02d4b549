"""The simulated internet: hops, TTLs, time, loss, and the same run every time."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter

import pytest

from clawchat.values.address import Address
from lab.model.link import Link
from lab.model.nat import Hairpin, Nat
from lab.model.plan import ROUTER_EDGE, Plan, plan
from lab.model.presets import PRESETS, preset
from lab.model.topology import Gateway, Peer, Topology
from lab.sim.internet import Internet
from lab.sim.way import Trouble
from tests.lab.networks import Talker, network, talker

RESTRICTED = preset("port-restricted").layers
CONE = preset("full-cone").layers
OPEN = preset("open").layers


def outside_of(near: Talker, far: Talker) -> Address:
    """Return the address under which a talker is seen by another one."""
    near.say(b"hello", far.address)
    return far.got[-1][1]


def test_a_question_and_its_answer() -> None:
    internet = Internet(network(RESTRICTED))
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    outside = outside_of(peer, host)
    assert outside == Address("203.0.113.1", 5000)
    host.say(b"back", outside)
    assert peer.got == [(b"back", host.address, 1.0)]
    assert internet.delivered == 2


def test_delays_add_up_on_the_way() -> None:
    internet = Internet(network(RESTRICTED, link=Link(delay=0.02), host_link=Link(delay=0.005)))
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    peer.say(b"hello", host.address)
    assert [time for _, _, time in host.got] == [pytest.approx(0.025)]


@pytest.mark.parametrize("name", ["port-restricted", "double", "open"])
def test_every_hop_counts_the_ttl_down(name: str) -> None:
    layers = preset(name).layers
    internet = Internet(network(layers))
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    for ttl in range(1, len(layers) + 4):
        peer.say(b"%d" % ttl, host.address, ttl)
    assert host.payloads == [b"%d" % ttl for ttl in range(len(layers) + 2, len(layers) + 4)]
    gateways = internet.plan.layers("g1")
    assert [one.offender for one in peer.complaints] == [*(one.lan for one in gateways), ROUTER_EDGE]
    assert {one.trouble for one in peer.complaints} == {Trouble.TTL_EXCEEDED}
    assert [one.datagram.ttl for one in peer.complaints] == list(range(1, len(layers) + 2))


def test_a_gateway_counts_before_it_translates() -> None:
    internet = Internet(network(RESTRICTED, RESTRICTED))
    one, other = talker(internet, "g1a", 5000), talker(internet, "g2a", 5000)
    ends = [Address(gateway.wan, 5000) for gateway in internet.plan.gateways.values()]
    one.say(b"opens nothing", ends[1], 1)
    other.say(b"early", ends[0])
    assert one.got == []
    one.say(b"opens our own NAT only", ends[1], 2)
    other.say(b"in time", ends[0])
    assert one.payloads == [b"in time"]
    assert other.got == []


def test_two_peers_punch_through() -> None:
    internet = Internet(network(RESTRICTED, RESTRICTED, link=Link(delay=0.03)))
    one, other = talker(internet, "g1a", 5000), talker(internet, "g2a", 5000)
    ends = [Address(gateway.wan, 5000) for gateway in internet.plan.gateways.values()]
    one.send(b"punch", ends[1])
    other.send(b"punch", ends[0])
    internet.run(1)
    assert (one.payloads, other.payloads) == ([b"punch"], [b"punch"])


def test_a_poisoned_gateway_never_recovers_by_itself_but_a_prime_prevents_it() -> None:
    layers = preset("poisonable-home").layers
    for ttl, works in ((64, False), (2, True)):
        internet = Internet(network(layers, layers, link=Link(delay=0.04)))
        one, other = talker(internet, "g1a", 5000), talker(internet, "g2a", 5000)
        ends = [Address(gateway.wan, 5000) for gateway in internet.plan.gateways.values()]
        if works:
            one.say(b"prime", ends[1], ttl)
            other.say(b"prime", ends[0], ttl)
        one.say(b"punch", ends[1])
        for _ in range(20):
            other.say(b"punch", ends[0])
            one.say(b"punch", ends[1])
        assert bool(one.got) is bool(other.got) is works


def test_a_closed_port_of_a_gateway_that_accepts_is_refused() -> None:
    internet = Internet(network(preset("poisonable-home").layers, RESTRICTED, link=Link(delay=0.01)))
    host = talker(internet, "host", 7000)
    for gateway in ("g1", "g2"):
        host.say(b"anybody?", Address(internet.plan.gateways[gateway].wan, 9))
    assert [(one.trouble, one.offender) for one in host.complaints] == [(Trouble.PORT_UNREACHABLE, "203.0.113.1")]


def test_nobody_lives_at_some_addresses() -> None:
    internet = Internet(network(RESTRICTED))
    peer = talker(internet, "g1a", 5000)
    peer.say(b"hello?", Address("198.51.100.77", 1))
    peer.say(b"hello?", Address("198.51.100.1", 1))
    assert [one.trouble for one in peer.complaints] == [Trouble.HOST_UNREACHABLE, Trouble.PORT_UNREACHABLE]


def test_neighbours_talk_without_the_gateway() -> None:
    internet = Internet(network(RESTRICTED, peers=2))
    one, other = talker(internet, "g1a", 5000), talker(internet, "g1b", 5000)
    one.say(b"hello", other.address, 1)
    assert other.got == [(b"hello", one.address, 0.0)]


def test_neighbours_behind_a_plain_router_cross_it() -> None:
    internet = Internet(network(OPEN, peers=2))
    one, other = talker(internet, "g1a", 5000), talker(internet, "g1b", 5000)
    one.say(b"dies", other.address, 1)
    one.say(b"hello", other.address, 2)
    assert other.payloads == [b"hello"]


@pytest.mark.parametrize("hairpin", list(Hairpin))
def test_turning_around(hairpin: Hairpin) -> None:
    nat: Nat = replace(CONE[0], hairpin=hairpin)
    internet = Internet(network((nat,), peers=2))
    one, other, host = talker(internet, "g1a", 5000), talker(internet, "g1b", 6000), talker(internet, "host", 7000)
    outside = outside_of(one, host)
    other.say(b"turn", outside)
    if hairpin is Hairpin.NONE:
        assert [complaint.trouble for complaint in other.complaints] == [Trouble.PORT_UNREACHABLE]
        return
    seen = Address(internet.plan.gateways["g1"].wan, 6000) if hairpin is Hairpin.EXTERNAL_SOURCE else other.address
    assert one.got[-1][:2] == (b"turn", seen)


def test_homes_of_one_carrier_reach_one_another_on_its_inside() -> None:
    gateways = (
        Gateway("carrier", RESTRICTED[0]),
        Gateway("left", RESTRICTED[0], behind="carrier"),
        Gateway("right", CONE[0], behind="carrier"),
    )
    made = plan(Topology("carrier", gateways, (Peer("anna", "left"), Peer("bob", "right"))))
    internet = Internet(made)
    anna, bob = talker(internet, "anna", 5000), talker(internet, "bob", 6000)
    bob.say(b"opens the cone", Address(made.gateways["left"].wan, 1))
    anna.say(b"hello", Address(made.gateways["right"].wan, 6000))
    assert bob.got[-1][:2] == (b"hello", Address(made.gateways["left"].wan, 5000))


def test_a_cut_node_is_cut_off_until_it_is_mended() -> None:
    internet = Internet(network(RESTRICTED))
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    internet.cut("host")
    peer.say(b"lost", host.address)
    internet.mend("host")
    peer.say(b"arrives", host.address)
    internet.cut("g1")
    peer.say(b"lost too", host.address)
    assert host.payloads == [b"arrives"]


def test_a_restarted_gateway_knows_nobody() -> None:
    internet = Internet(network(RESTRICTED))
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    outside = outside_of(peer, host)
    internet.forget("g1")
    host.say(b"back", outside)
    assert peer.got == []


def traffic(made: Plan, seed: int) -> list[tuple[bytes, Address, float]]:
    internet = Internet(made, seed=seed)
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    for number in range(200):
        peer.send(b"%d" % number, host.address)
    internet.run(10)
    return host.got


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.startswith("udp")])
def test_a_run_is_a_function_of_its_seed(name: str) -> None:
    link = Link(delay=0.05, jitter=0.02, loss=0.1, reorder=0.1, duplicate=0.1)
    made = network(preset(name).layers, link=link)
    assert traffic(made, 7) == traffic(made, 7)
    assert traffic(made, 7) != traffic(made, 8)


def test_time_moves_only_forward_and_only_when_asked() -> None:
    internet = Internet(network(RESTRICTED))
    moments: list[float] = []
    for when in (3.0, 1.0, 2.0, -5.0):
        internet.at(when, lambda: moments.append(internet.now))
    assert internet.now == 0
    assert internet.run(2.5, stop=lambda: len(moments) == 1)
    assert not internet.run(2.5)
    assert (moments, internet.now) == ([0.0, 1.0, 2.0], 2.5)
    internet.run(1)
    assert internet.now == 2.5


def test_tcp_passes_where_every_layer_lets_it() -> None:
    internet = Internet(network(preset("udp-blocked-443").layers, preset("double").layers))
    assert [internet.passes_tcp("g1a", port) for port in (443, 80)] == [True, False]
    assert internet.passes_tcp("g2a", 80)


@pytest.mark.bench
def test_packets_in_a_second() -> None:
    internet = Internet(network(RESTRICTED))
    peer, host = talker(internet, "g1a", 5000), talker(internet, "host", 7000)
    begun = perf_counter()
    for _ in range(50):
        for _ in range(1000):
            peer.send(b"x", host.address)
        internet.run(internet.now + 0.01)
    rate = internet.delivered / (perf_counter() - begun)
    print(f"{rate:,.0f} packets/s through a gateway and the router")
    assert internet.delivered == 50_000
