"""Which gateways are to be tried, and the network in which they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lab.backends.netns.rules import RULE_SETS, Flavour, RuleSet, choose, for_gateway
from lab.gate import endurance
from lab.gate.claims import Claim
from lab.gate.ground import Suspect
from lab.model.nat import Nat
from lab.model.plan import Plan, plan
from lab.model.presets import PRESETS, Preset, preset
from lab.model.topology import DEFAULT_RULES, Gateway, Host, Peer, Topology, stacked

ALL_RULES: Final = "all"
"""Every rule set that makes a preset."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A preset, and the rules that are to make it."""

    preset: Preset
    rules: str = DEFAULT_RULES
    damage: tuple[tuple[str, str], ...] = ()
    """Pieces of the rules and what stands there instead: a gateway broken on purpose, to try the gate itself."""
    built: tuple[Nat, ...] = ()
    """What is built in its place, for the same purpose; empty for what the preset says."""

    @property
    def title(self) -> str:
        """Return the preset's name, and the rules when they are not the usual ones."""
        return self.preset.name + (f" ({self.rules})" if self.rules != DEFAULT_RULES else "")

    @property
    def layers(self) -> tuple[Nat, ...]:
        """Return the NATs to build."""
        return self.built or self.preset.layers

    @property
    def rule_sets(self) -> tuple[RuleSet | None, ...]:
        """Return the rule sets of its layers. Raises RulesError."""
        return tuple(choose(nat, self.rules) for nat in self.layers)


def candidates(names: Sequence[str] = (), rules: str = DEFAULT_RULES) -> list[Candidate]:
    """Return presets (all of them when none is named) with the rules of a flavour, or with every rule set there is.

    Of several flavours with commas between them each preset gets the first that can make it. A preset that a flavour
    cannot make is left out, unless it was named. Raises ValueError for an unknown name and RulesError.
    """
    wanted = [preset(name) for name in names] or list(PRESETS.values())
    found = []
    for one in wanted:
        for each in _rules_for(one) if rules == ALL_RULES else [_first(one, rules)]:
            candidate = Candidate(one, each)
            if names or _makeable(candidate):
                _ = candidate.rule_sets
                found.append(candidate)
    return found


def _first(one: Preset, rules: str) -> str:
    """Return the first of several flavours that makes a preset, or what was asked for if none does."""
    if not any(nat.translates for nat in one.layers):
        return DEFAULT_RULES
    return next((each for each in rules.split(",") if _makeable(Candidate(one, each))), rules)


def _makeable(candidate: Candidate) -> bool:
    try:
        return bool(candidate.rule_sets)
    except ValueError:
        return False


def _rules_for(one: Preset) -> Iterable[str]:
    """Return the flavours that make a preset, and the names of the other rule sets that make its only layer."""
    if not any(nat.translates for nat in one.layers):
        return [DEFAULT_RULES]
    flavours = [flavour.value for flavour in Flavour if _makeable(Candidate(one, flavour.value))]
    usual = {choose(one.layers[0], flavour) for flavour in flavours} if len(one.layers) == 1 else set()
    others = [each.name for each in RULE_SETS if len(one.layers) == 1 and each.makes(one.layers[0])]
    return [*flavours, *(name for name in dict.fromkeys(others) if name not in {each.name for each in usual if each})]


@dataclass(frozen=True, slots=True)
class LineUp:
    """All suspects in one network: each gateway with two machines, and its twin with short lifetimes with one."""

    plan: Plan
    suspects: tuple[Suspect, ...]
    rules: Mapping[str, str]
    """The damaged rules of some gateways."""


def line_up(tried: Sequence[Candidate], hosts: Mapping[str, int]) -> LineUp:
    """Return the network in which all candidates are tried at once; hosts are given with their numbers of addresses."""
    suspects: list[Suspect] = []
    damaged: list[tuple[Candidate, Gateway]] = []
    gateways: list[Gateway] = []
    peers: list[Peer] = []
    for number, one in enumerate(tried, 1):
        opens = any(rules is not None and rules.opens_host for rules in one.rule_sets)
        full = f"g{number}"
        # What opens a whole host is renewed by every probe, so that each probe that waits needs a twin to itself.
        twins = [f"b{number}-{place}" for place in range(len(endurance.PROBES) if opens else 1)]
        made = [*stacked(full, one.layers, rules=one.rules)]
        for twin in twins:
            made += stacked(twin, _briefly(one.layers), rules=one.rules)
        gateways += made
        damaged += [(one, gateway) for gateway in made if one.damage and gateway.nat.translates]
        peers += [Peer(f"{full}-a", full), Peer(f"{full}-b", full), *(Peer(f"{twin}-a", twin) for twin in twins)]
        suspects.append(
            Suspect(
                one.title,
                Claim(one.preset.layers, opens),
                f"{full}-a",
                f"{full}-b",
                tuple(f"{twin}-a" for twin in twins),
                Claim(_briefly(one.preset.layers), opens),
            )
        )
    public = tuple(Host(name, addresses) for name, addresses in hosts.items())
    network = plan(Topology("gate", tuple(gateways), tuple(peers), public))
    rules = {gateway.name: _damaged(for_gateway(network.gateways[gateway.name]), one) for one, gateway in damaged}
    return LineUp(network, tuple(suspects), rules)


def _briefly(layers: Iterable[Nat]) -> tuple[Nat, ...]:
    return tuple(endurance.brief(nat) for nat in layers)


def _damaged(script: str, candidate: Candidate) -> str:
    for piece, instead in candidate.damage:
        script = script.replace(piece, instead)
    return script
