"""The simulated NAT: truth tables after RFC 4787, and properties."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.values.address import Address
from lab.model.nat import Allocation, Assignment, Dependence, Hairpin, Lifetime, Nat, Unsolicited
from lab.model.presets import PRESETS, preset
from lab.sim.nat import SimulatedNat, filter_key, mapping_key
from tests.lab.networks import INSIDE, NEIGHBOUR, OTHER_HOST, OTHER_PORT, REMOTE, WAN, simulated

EI, AD, APD = Dependence
SINGLE = [name for name, one in PRESETS.items() if len(one.layers) == 1 and one.layers[0].translates]
PASSING = [name for name in SINGLE if preset(name).layers[0].traffic.udp]


def nat_of(name: str) -> Nat:
    return preset(name).layers[0]


def out(nat: SimulatedNat, to: Address, *, source: Address = INSIDE, now: float = 0.0) -> Address:
    outside = nat.outbound(source, to, now)
    assert outside is not None
    return outside


# ------------------------------------------------------------------------------------------------------ truth tables


@pytest.mark.parametrize(
    ("mapping", "other_port", "other_host"), [(EI, True, True), (AD, True, False), (APD, False, False)]
)
def test_what_a_mapping_depends_on(mapping: Dependence, other_port: bool, other_host: bool) -> None:  # noqa: FBT001 - a column of the table
    key = mapping_key(mapping, INSIDE, REMOTE)
    assert (mapping_key(mapping, INSIDE, OTHER_PORT) == key) is other_port
    assert (mapping_key(mapping, INSIDE, OTHER_HOST) == key) is other_host
    assert mapping_key(mapping, NEIGHBOUR, REMOTE) != key


@pytest.mark.parametrize(
    ("filtering", "other_port", "other_host"), [(EI, True, True), (AD, True, False), (APD, False, False)]
)
def test_what_a_filter_lets_in(filtering: Dependence, other_port: bool, other_host: bool) -> None:  # noqa: FBT001 - a column of the table
    key = filter_key(filtering, REMOTE)
    assert (filter_key(filtering, OTHER_PORT) == key) is other_port
    assert (filter_key(filtering, OTHER_HOST) == key) is other_host
    nat = simulated(Nat(EI, filtering, lifetime=Lifetime(endpoint=300)))
    outside = out(nat, REMOTE)
    assert nat.inbound(REMOTE, outside, 1) == INSIDE
    assert (nat.inbound(OTHER_PORT, outside, 1) == INSIDE) is other_port
    assert (nat.inbound(OTHER_HOST, outside, 1) == INSIDE) is other_host


@pytest.mark.parametrize("mapping", list(Dependence))
@pytest.mark.parametrize("filtering", list(Dependence))
def test_mapping_and_filtering_are_independent(mapping: Dependence, filtering: Dependence) -> None:
    allocation = Allocation(Assignment.SEQUENTIAL, 40_000, 40_999)
    nat = simulated(Nat(mapping, filtering, allocation, lifetime=Lifetime(endpoint=300)))
    ports = [out(nat, to).port for to in (REMOTE, OTHER_PORT, OTHER_HOST)]
    assert len(set(ports)) == {EI: 1, AD: 2, APD: 3}[mapping]
    stranger = Address("198.51.100.9", 1)
    assert (nat.inbound(stranger, Address(WAN, ports[0]), 1) == INSIDE) is (filtering is EI)


@pytest.mark.parametrize("name", SINGLE)
def test_a_preset_passes_an_answer_and_nothing_that_nobody_asked_for(name: str) -> None:
    nat = simulated(nat_of(name))
    assert nat.inbound(REMOTE, Address(WAN, INSIDE.port), 0) is None
    outside = nat.outbound(INSIDE, REMOTE, 0)
    if not nat_of(name).traffic.udp:
        assert outside is None
        return
    assert outside is not None
    assert outside.host == WAN
    assert nat.inbound(REMOTE, outside, 1) == INSIDE


@pytest.mark.parametrize(
    ("allocation", "expected"),
    [
        (Allocation(), [5000, 5001, 5002]),
        (Allocation(Assignment.SEQUENTIAL, 40_000, 40_511), [40_000, 40_001, 40_002]),
        (Allocation(Assignment.SEQUENTIAL, 40_000, 40_005, step=3), [40_000, 40_003, 40_000]),
        (Allocation(Assignment.SEQUENTIAL, 40_000, 40_000), [40_000, 40_000, 40_000]),
    ],
)
def test_foreseeable_ports(allocation: Allocation, expected: list[int]) -> None:
    nat = simulated(Nat(EI, APD, allocation))
    ends = [(Address("10.1.0.2", 5000 + place), Address("198.51.100.1", 7000 + place)) for place in range(3)]
    assert [out(nat, remote, source=inside).port for inside, remote in ends] == expected


@pytest.mark.parametrize("assignment", [Assignment.REMAP, Assignment.RANDOM, Assignment.BLOCK])
def test_other_ports_come_from_their_range(assignment: Assignment) -> None:
    nat = simulated(Nat(APD, APD, Allocation(assignment, 30_000, 30_099)))
    ports = [out(nat, Address("198.51.100.1", port)).port for port in range(1, 51)]
    assert all(30_000 <= port <= 30_099 for port in ports)
    assert len(set(ports)) > 20


# ------------------------------------------------------------------------------------------------------------- clashes


def test_an_early_packet_moves_the_mapping_of_a_gateway_that_accepts() -> None:
    nat = simulated(nat_of("poisonable-home"))
    assert nat.inbound(REMOTE, Address(WAN, INSIDE.port), 0) is None
    outside = out(nat, REMOTE, now=1)
    assert outside.port != INSIDE.port
    # The peer's packets keep the wrong entry alive, and never get in.
    assert [nat.inbound(REMOTE, Address(WAN, INSIDE.port), second) for second in range(2, 100)] == [None] * 98
    assert nat.inbound(REMOTE, outside, 3) == INSIDE
    # What leaves later follows: the mapping as a whole has moved.
    assert out(nat, OTHER_HOST, now=4) == outside


def test_the_poison_wears_off() -> None:
    nat = simulated(nat_of("poisonable-home"))
    nat.inbound(REMOTE, Address(WAN, INSIDE.port), 0)
    assert out(nat, REMOTE, now=30.1).port == INSIDE.port


def test_an_early_packet_leaves_no_trace_at_a_gateway_that_drops() -> None:
    nat = simulated(nat_of("port-restricted"))
    nat.inbound(REMOTE, Address(WAN, INSIDE.port), 0)
    assert out(nat, REMOTE, now=1).port == INSIDE.port


def test_two_hosts_share_a_port_but_not_towards_one_remote_end() -> None:
    nat = simulated(nat_of("port-restricted"))
    assert out(nat, REMOTE).port == out(nat, OTHER_HOST, source=NEIGHBOUR).port
    other = out(nat, REMOTE, source=NEIGHBOUR)
    assert other.port != INSIDE.port
    assert nat.inbound(REMOTE, Address(WAN, INSIDE.port), 1) == INSIDE
    assert nat.inbound(REMOTE, other, 1) == NEIGHBOUR
    assert nat.inbound(OTHER_HOST, Address(WAN, INSIDE.port), 1) == NEIGHBOUR


def test_a_gateway_that_shares_no_ports_gives_each_host_its_own() -> None:
    nat = simulated(replace(nat_of("port-restricted"), shares_ports=False))
    assert out(nat, REMOTE).port != out(nat, OTHER_HOST, source=NEIGHBOUR).port


# ----------------------------------------------------------------------------------------------------------- lifetimes


def test_a_flow_lives_half_a_minute_and_longer_once_it_is_a_conversation() -> None:
    nat = simulated(nat_of("port-restricted"))
    outside = out(nat, REMOTE, now=0)
    assert nat.inbound(REMOTE, outside, 29.9) == INSIDE
    nat = simulated(nat_of("port-restricted"))
    out(nat, REMOTE, now=0)
    assert nat.inbound(REMOTE, outside, 30.1) is None
    nat = simulated(nat_of("port-restricted"))
    out(nat, REMOTE, now=0)
    nat.inbound(REMOTE, outside, 0.1)
    out(nat, REMOTE, now=1.9)
    assert nat.inbound(REMOTE, outside, 32) is None
    nat = simulated(nat_of("port-restricted"))
    out(nat, REMOTE, now=0)
    nat.inbound(REMOTE, outside, 0.1)
    out(nat, REMOTE, now=2.1)
    assert nat.inbound(REMOTE, outside, 122) == INSIDE
    assert nat.inbound(REMOTE, outside, 242.1) is None


def test_a_cone_forgets_an_endpoint_that_says_nothing() -> None:
    nat = simulated(nat_of("full-cone"))
    outside = out(nat, REMOTE, now=0)
    assert nat.inbound(OTHER_HOST, outside, 299) == INSIDE
    # What came in is a flow of its own, and only renews itself.
    assert nat.inbound(OTHER_HOST, outside, 328) == INSIDE
    assert nat.inbound(OTHER_PORT, outside, 301) is None


def test_a_restart_forgets_everything() -> None:
    nat = simulated(nat_of("full-cone"))
    outside = out(nat, REMOTE)
    nat.forget()
    assert nat.inbound(REMOTE, outside, 1) is None


def test_a_dying_packet_opens_no_flow() -> None:
    nat = simulated(replace(nat_of("full-cone"), lifetime=Lifetime(endpoint=10)))
    outside = out(nat, REMOTE)
    nat.inbound(OTHER_HOST, outside, 9, dying=True)
    assert nat.inbound(OTHER_HOST, outside, 11) is None


# ------------------------------------------------------------------------------------------------------------ hairpins


@pytest.mark.parametrize(
    ("hairpin", "source"), [(Hairpin.EXTERNAL_SOURCE, Address(WAN, 5000)), (Hairpin.INTERNAL_SOURCE, NEIGHBOUR)]
)
def test_a_packet_is_turned_around(hairpin: Hairpin, source: Address) -> None:
    nat = simulated(replace(nat_of("full-cone"), hairpin=hairpin))
    inside = Address("10.1.0.2", 6000)
    outside = out(nat, REMOTE, source=inside)
    assert nat.hairpin(NEIGHBOUR, outside, 1) == (source, inside)
    assert nat.hairpin(NEIGHBOUR, Address(WAN, 9), 1) is None


def test_most_gateways_turn_nothing_around() -> None:
    nat = simulated(nat_of("port-restricted"))
    assert nat.hairpin(NEIGHBOUR, out(nat, REMOTE), 1) is None


# ---------------------------------------------------------------------------------------------------------- properties

addresses = st.builds(
    Address, st.sampled_from(["198.51.100.1", "198.51.100.2", "198.51.100.3"]), st.sampled_from([7000, 7001])
)
insiders = st.builds(Address, st.sampled_from(["10.1.0.2", "10.1.0.3"]), st.sampled_from([5000, 5001]))
steps = st.lists(
    st.tuples(st.sampled_from(["out", "in"]), insiders, addresses, st.floats(0, 20), st.integers(0, 5)), max_size=60
)
nats = st.builds(
    Nat,
    st.sampled_from(Dependence),
    st.sampled_from(Dependence),
    st.sampled_from(
        [
            Allocation(),
            Allocation(Assignment.SEQUENTIAL, 40_000, 40_511),
            Allocation(Assignment.RANDOM),
            Allocation(Assignment.BLOCK, 40_000, 40_063),
        ]
    ),
    lifetime=st.sampled_from([Lifetime(), Lifetime(endpoint=60), Lifetime(5, 10, 7)]),
    unsolicited=st.sampled_from(Unsolicited),
    shares_ports=st.booleans(),
)


@given(nats, steps, st.integers())
def test_a_nat_keeps_its_promises(nat: Nat, script: list[tuple[str, Address, Address, float, int]], seed: int) -> None:
    """Whatever happens, nobody hears a stranger that the filter refuses, and nobody gets another one's packets."""
    tried, twin = simulated(nat, seed), simulated(nat, seed)
    now = 0.0
    spoken: dict[Address, list[tuple[Address, Address, float]]] = {}
    seen = [Address(WAN, 5000)]
    longest = max(nat.lifetime.assured, nat.lifetime.endpoint or 0)
    heard: dict[tuple[Address, Address], float] = {}
    for verb, inside, remote, pause, place in script:
        now += pause
        if verb == "out":
            outside = tried.outbound(inside, remote, now)
            assert outside == twin.outbound(inside, remote, now)
            assert outside is not None
            assert outside.host == WAN
            # A remote end can always answer, and the answer reaches who asked.
            assert tried.inbound(remote, outside, now) == inside == twin.inbound(remote, outside, now)
            spoken.setdefault(inside, []).append((outside, remote, now))
            heard[outside, remote] = now
            seen.append(outside)
            continue
        outside = seen[place % len(seen)]
        reached = tried.inbound(remote, outside, now)
        assert reached == twin.inbound(remote, outside, now)
        if reached is None:
            continue
        asked = [
            then
            for _, to, then in spoken.get(reached, [])
            if filter_key(nat.filtering, to) == filter_key(nat.filtering, remote)
        ]
        # It was asked for, by a packet that lets it in, or it goes on with what got in before.
        latest = max([*asked, heard.get((outside, remote), -1e9)])
        assert now - latest <= longest
        heard[outside, remote] = now


@given(st.lists(addresses, min_size=1, max_size=20), st.sampled_from(PASSING), st.integers())
def test_mappings_follow_their_key(remotes: list[Address], name: str, seed: int) -> None:
    nat = nat_of(name)
    tried = simulated(nat, seed)
    ports: dict[Hashable, int] = {}
    for remote in remotes:
        key = mapping_key(nat.mapping, INSIDE, remote)
        port = out(tried, remote).port
        assert ports.setdefault(key, port) == port


@given(st.lists(st.tuples(insiders, addresses), max_size=60), nats, st.integers())
def test_no_two_flows_look_alike_from_outside(pairs: list[tuple[Address, Address]], nat: Nat, seed: int) -> None:
    tried = simulated(nat, seed)
    owners: dict[tuple[Address, Address], Address] = {}
    for inside, remote in pairs:
        outside = out(tried, remote, source=inside)
        assert owners.setdefault((outside, remote), inside) == inside


def test_dead_entries_do_not_pile_up() -> None:
    nat = simulated(nat_of("symmetric-random"))
    for number in range(20_000):
        out(nat, Address("198.51.100.1", 1 + number % 60_000), now=number * 1.0)
    assert len(nat._flows) < 5_000  # noqa: SLF001 - memory has no other face
