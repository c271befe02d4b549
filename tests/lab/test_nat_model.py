from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.gate.claims import Claim
from lab.model.nat import Allocation, Assignment, Dependence, Hairpin, Lifetime, Nat, Unsolicited
from lab.model.presets import PRESETS, preset

EI, AD, APD = Dependence


@pytest.mark.parametrize(
    ("name", "mapping", "filtering", "assignment"),
    [
        ("full-cone", EI, EI, Assignment.PRESERVE),
        ("address-restricted", EI, AD, Assignment.PRESERVE),
        ("port-restricted", EI, APD, Assignment.PRESERVE),
        ("symmetric-sequential", APD, APD, Assignment.SEQUENTIAL),
        ("symmetric-random", APD, APD, Assignment.RANDOM),
        ("symmetric-block", APD, APD, Assignment.BLOCK),
        ("address-dependent", AD, APD, Assignment.BLOCK),
        ("port-restricted-remap", EI, APD, Assignment.REMAP),
        ("poisonable-home", EI, APD, Assignment.PRESERVE),
        ("cgnat", EI, APD, Assignment.BLOCK),
        ("double", EI, APD, Assignment.PRESERVE),
    ],
)
def test_a_preset_is_what_its_name_says(
    name: str, mapping: Dependence, filtering: Dependence, assignment: Assignment
) -> None:
    claim = Claim(preset(name).layers)
    assert (claim.mapping, claim.filtering, claim.allocation.assignment) == (mapping, filtering, assignment)


def test_presets_differ_and_say_where_they_were_seen() -> None:
    assert len({one.layers for one in PRESETS.values()}) == len(PRESETS)
    assert all(one.seen and one.summary for one in PRESETS.values())
    assert all(name == one.name for name, one in PRESETS.items())


def test_what_sets_the_odd_presets_apart() -> None:
    assert not preset("open").layers[0].translates
    assert preset("poisonable-home").layers[0].unsolicited is Unsolicited.ACCEPT
    assert not preset("udp-blocked").layers[0].traffic.udp
    traffic = preset("udp-blocked-443").layers[0].traffic
    assert (traffic.udp, traffic.tcp(443), traffic.tcp(80)) == (False, True, False)
    assert [len(preset(name).layers) for name in ("double", "cgnat", "open")] == [2, 2, 1]


def test_an_unknown_preset_names_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'full-cone'"):
        preset("fullcone")


def test_dependences_are_ranked_from_open_to_closed() -> None:
    assert sorted([APD, EI, AD], key=lambda one: one.rank) == [EI, AD, APD]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Allocation(Assignment.RANDOM, 100, 99),
        lambda: Allocation(Assignment.RANDOM, 0, 99),
        lambda: Allocation(Assignment.SEQUENTIAL, 1000, 1010, step=12),
        lambda: Lifetime(unreplied=0),
        lambda: Lifetime(endpoint=-1),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"range|step|longer"):
        make()


def test_a_stack_is_as_closed_as_its_closest_layer() -> None:
    cone, closed = preset("full-cone").layers[0], preset("symmetric-random").layers[0]
    for layers in ((cone, closed), (closed, cone)):
        claim = Claim(layers)
        assert (claim.mapping, claim.filtering, claim.hops) == (APD, APD, 4)
        assert claim.allocation.assignment is Assignment.RANDOM


def test_only_an_open_inside_lets_turned_packets_in() -> None:
    turning = Nat(EI, EI, hairpin=Hairpin.EXTERNAL_SOURCE, lifetime=Lifetime(endpoint=300))
    cone, restricted = preset("full-cone").layers[0], preset("port-restricted").layers[0]
    assert Claim((cone, turning)).hairpin is Hairpin.EXTERNAL_SOURCE
    assert Claim((restricted, turning)).hairpin is Hairpin.NONE


def test_idle_times_follow_the_shortest_layer() -> None:
    long, short = Nat(EI, APD), Nat(EI, APD, lifetime=Lifetime(10, 20))
    assert (Claim((long, short)).idle(assured=False), Claim((long, short)).idle(assured=True)) == (10, 20)
    cone = preset("full-cone").layers[0]
    assert (Claim((cone,)).idle(assured=False), Claim((cone,)).remembered) == (300, 300)
    assert Claim((cone, long)).remembered is None
