from __future__ import annotations

import re
from dataclasses import replace

import pytest

from lab.backends.netns import rules
from lab.backends.netns.cabling import cabling
from lab.backends.netns.rules import FOLDER, RULE_SETS, Flavour, RulesError, choose, for_gateway, is_iptables, text
from lab.model.nat import Allocation, Assignment, Dependence, Hairpin, Nat
from lab.model.plan import plan
from lab.model.presets import PRESETS, preset
from lab.model.topology import Host, row

RESTRICTED = preset("port-restricted").layers[0]


def test_every_file_is_a_rule_set_and_every_rule_set_has_a_file() -> None:
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {rule_set.file.name for rule_set in RULE_SETS}


def test_every_preset_can_be_made_with_nft() -> None:
    for one in PRESETS.values():
        for nat in one.layers:
            chosen = choose(nat, "nft")
            assert (chosen is None) is not nat.translates


@pytest.mark.parametrize(
    "name", ["full-cone", "address-restricted", "port-restricted", "symmetric-random", "cgnat", "double", "udp-blocked"]
)
def test_the_classical_gateways_can_be_made_with_iptables(name: str) -> None:
    for nat in preset(name).layers:
        chosen = choose(nat, "iptables")
        assert chosen is not None
        assert chosen.flavour is Flavour.IPTABLES


def test_a_rule_set_can_be_asked_for_by_name() -> None:
    chosen = choose(RESTRICTED, "port-restricted-map")
    assert chosen is not None
    assert chosen.file.name == "port-restricted-map.nft"


@pytest.mark.parametrize(
    ("nat", "wanted", "words"),
    [
        (RESTRICTED, "pf", "no rule set and no flavour is called 'pf'"),
        (RESTRICTED, "full-cone", "the simulator can"),
        (replace(RESTRICTED, hairpin=Hairpin.INTERNAL_SOURCE), "nft", "hairpin internal-source"),
        (replace(RESTRICTED, shares_ports=False), "nft", "the simulator can"),
        (Nat(Dependence.ENDPOINT_INDEPENDENT, Dependence.ENDPOINT_INDEPENDENT), "nft", "the simulator can"),
    ],
)
def test_what_netfilter_cannot_do_is_told(nat: Nat, wanted: str, words: str) -> None:
    with pytest.raises(RulesError, match=re.escape(words)):
        choose(nat, wanted)


def test_the_holes_are_filled() -> None:
    for rule_set in RULE_SETS:
        nat = next(nat for one in PRESETS.values() for nat in one.layers if rule_set.makes(nat))
        filled = text(rule_set, nat, wan="203.0.113.9", inside=["10.1.0.2"])
        assert "@" not in filled.replace("@fc", "").replace("@seen", "")
        assert is_iptables(filled) is (rule_set.flavour is Flavour.IPTABLES)


def test_counted_ports_are_listed_with_their_step() -> None:
    nat = replace(
        preset("symmetric-sequential").layers[0], allocation=Allocation(Assignment.SEQUENTIAL, 5000, 5006, step=3)
    )
    chosen = choose(nat, "nft")
    assert chosen is not None
    assert "numgen inc mod 3 map { 0 : 5000, 1 : 5003, 2 : 5006 }" in text(chosen, nat, wan="203.0.113.9", inside=[])


def test_an_unfillable_hole_is_told() -> None:
    wide = replace(preset("symmetric-sequential").layers[0], allocation=Allocation(Assignment.SEQUENTIAL))
    chosen = choose(wide, "nft")
    assert chosen is not None
    with pytest.raises(RulesError, match="needs @COUNT@, @PORTS@"):
        text(chosen, wide, wan="203.0.113.9", inside=[])
    cone = choose(preset("full-cone").layers[0], "iptables")
    assert cone is not None
    with pytest.raises(RulesError, match="@PEER_IP@"):
        text(cone, preset("full-cone").layers[0], wan="203.0.113.9", inside=[])


def test_a_plain_router_needs_no_rules() -> None:
    made = plan(row(["open"]))
    assert for_gateway(made.gateways["g1"]) == ""


def test_cables_join_everything_once() -> None:
    made = plan(row(list(PRESETS), peers=2, hosts=[Host("relay"), Host("stun", 2)]))
    laid = cabling(made)
    assert len(laid.cables) == len(laid.nodes) - 1
    ends = [(end.node, end.device) for cable in laid.cables for end in (cable.near, cable.far)]
    assert len(ends) == len(set(ends))
    assert all(len(device) < 16 for _, device in ends)
    assert set(laid.commands) == set(laid.nodes)


def test_one_neighbour_needs_no_bridge() -> None:
    one, two = cabling(plan(row(["port-restricted"]))), cabling(plan(row(["port-restricted"], peers=2)))
    assert not any("bridge" in command for command in one.commands["g1"])
    assert "link add lan type bridge" in two.commands["g1"]


def test_lifetimes_stand_in_the_rules() -> None:
    nat = preset("full-cone").layers[0]
    brief = replace(nat, lifetime=replace(nat.lifetime, endpoint=2.5))
    nft, iptables = (choose(brief, flavour) for flavour in Flavour)
    assert nft is not None
    assert iptables is not None
    assert "timeout 2500ms" in text(nft, brief, wan="203.0.113.9", inside=["10.1.0.2"])
    assert "--seconds 2 " in text(iptables, brief, wan="203.0.113.9", inside=["10.1.0.2"])
    assert nat.lifetime.endpoint == rules.REMEMBERED
