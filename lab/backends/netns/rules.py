"""Which rule set makes a NAT, and the text of it for one gateway.

The rule sets are the files of `lab/rules`: `.nft` for nft and `.iptables` for iptables-restore. Words between @ signs
are filled in here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lab.model.nat import Assignment, Dependence, Hairpin, Nat, Unsolicited
from lab.model.plan import PlannedGateway

FOLDER: Final = Path(__file__).resolve().parents[2] / "rules"

MAX_LISTED_PORTS: Final = 4096
"""Ports that a rule set may list one by one; nft reads a list of this length in a few milliseconds."""

REMEMBERED: Final = 300.0
"""Seconds that a rule set's map lasts where the model knows of none: it then serves early packets only."""

_HOLE: Final = re.compile(r"@[A-Z_]+@")

_EI: Final = Dependence.ENDPOINT_INDEPENDENT
_AD: Final = Dependence.ADDRESS_DEPENDENT
_APD: Final = Dependence.ADDRESS_AND_PORT_DEPENDENT
_POOLS: Final = (Assignment.REMAP, Assignment.BLOCK)


class RulesError(ValueError):
    """No rule set makes this NAT with real netfilter; the text says what is missing."""


class Flavour(enum.StrEnum):
    """The language of a rule set."""

    NFT = "nft"
    IPTABLES = "iptables"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """One file of rules, and the choices of the model that it makes."""

    name: str
    flavour: Flavour
    mapping: Dependence = _EI
    filtering: Dependence = _APD
    assignments: tuple[Assignment, ...] = (Assignment.PRESERVE,)
    hairpin: Hairpin = Hairpin.NONE
    unsolicited: Unsolicited = Unsolicited.DROP
    udp: bool = True
    tcp_ports: tuple[int, ...] | None = None
    remembers: bool = False
    """It remembers inside endpoints beyond their flows."""
    opens_host: bool = False
    """What it lets in reaches every port of the first inside host, not only the ports that were used."""

    @property
    def file(self) -> Path:
        """Return where the rules are."""
        return FOLDER / f"{self.name}.{self.flavour}"

    def makes(self, nat: Nat) -> bool:
        """Tell whether these rules make this NAT."""
        return (
            self.mapping is nat.mapping
            and self.filtering is nat.filtering
            and nat.allocation.assignment in self.assignments
            and self.hairpin is nat.hairpin
            and self.unsolicited is nat.unsolicited
            and (self.udp, self.tcp_ports) == (nat.traffic.udp, nat.traffic.tcp_ports)
            and self.remembers is (nat.lifetime.endpoint is not None)
            and nat.shares_ports
            and nat.translates
        )


NFT: Final = Flavour.NFT
IPTABLES: Final = Flavour.IPTABLES

RULE_SETS: Final = (
    RuleSet("full-cone", NFT, filtering=_EI, remembers=True),
    RuleSet("full-cone", IPTABLES, filtering=_EI, remembers=True, opens_host=True),
    RuleSet("full-cone-hairpin", NFT, filtering=_EI, hairpin=Hairpin.EXTERNAL_SOURCE, remembers=True),
    RuleSet("address-restricted", NFT, filtering=_AD, remembers=True),
    RuleSet("address-restricted", IPTABLES, filtering=_AD, remembers=True, opens_host=True),
    RuleSet("port-restricted", NFT),
    RuleSet("port-restricted", IPTABLES),
    RuleSet("port-restricted-map", NFT),
    RuleSet("port-restricted-hairpin", NFT, hairpin=Hairpin.EXTERNAL_SOURCE, remembers=True),
    RuleSet("port-restricted-remap", NFT, assignments=_POOLS),
    RuleSet("port-restricted-remap", IPTABLES, assignments=_POOLS),
    RuleSet("poisonable-home", NFT, unsolicited=Unsolicited.ACCEPT),
    RuleSet("poisonable-home", IPTABLES, unsolicited=Unsolicited.ACCEPT),
    RuleSet("address-dependent-mapping", NFT, mapping=_AD, assignments=(Assignment.BLOCK,)),
    RuleSet("symmetric-hash", NFT, mapping=_APD, assignments=(Assignment.BLOCK,)),
    RuleSet("symmetric-sequential", NFT, mapping=_APD, assignments=(Assignment.SEQUENTIAL,)),
    RuleSet("symmetric-random", NFT, mapping=_APD, assignments=(Assignment.RANDOM,)),
    RuleSet("symmetric-random", IPTABLES, mapping=_APD, assignments=(Assignment.RANDOM,)),
    RuleSet("udp-blocked", NFT, udp=False),
    RuleSet("udp-blocked", IPTABLES, udp=False),
    RuleSet("udp-blocked-443", NFT, udp=False, tcp_ports=(443,)),
    RuleSet("udp-blocked-443", IPTABLES, udp=False, tcp_ports=(443,)),
)
"""Of several that make the same NAT in the same flavour, the first one is meant."""


def choose(nat: Nat, rules: str) -> RuleSet | None:
    """Return the rule set that makes this NAT: the first of a flavour, or the one of that name; None for none at all.

    Of several flavours with commas between them the first that can is taken. Raises RulesError.
    """
    if not nat.translates:
        return None
    for word in rules.split(","):
        named = [one for one in RULE_SETS if word in {one.flavour, one.name}]
        if not named:
            raise RulesError(f"no rule set and no flavour is called {word!r}")
        fitting = next((one for one in named if one.makes(nat)), None)
        if fitting is not None:
            return fitting
    kind = f"{nat.mapping} mapping, {nat.filtering} filtering, {nat.allocation}, hairpin {nat.hairpin}"
    raise RulesError(f"no rule set of {rules!r} makes this NAT ({kind}); the simulator can")


def text(rule_set: RuleSet, nat: Nat, *, wan: str, inside: Sequence[str]) -> str:
    """Return the rules for the gateway with this outside address and these hosts inside.

    Raises RulesError when the file has a hole that the NAT does not fill.
    """
    allocation = nat.allocation
    values = {"@WAN_IP@": wan, "@LOW@": str(allocation.low), "@HIGH@": str(allocation.high)}
    if inside:
        values["@PEER_IP@"] = inside[0]
    remembered = nat.lifetime.endpoint or REMEMBERED
    values["@LIFETIME@"] = f"{round(remembered * 1000)}ms"
    values["@LIFETIME_S@"] = str(max(round(remembered), 1))
    ports = range(allocation.low, allocation.high + 1, allocation.step)
    if len(ports) <= MAX_LISTED_PORTS:
        values["@COUNT@"] = str(len(ports))
        values["@PORTS@"] = ", ".join(f"{place} : {port}" for place, port in enumerate(ports))
    template = rule_set.file.read_text("utf-8")
    missing = {hole for hole in _HOLE.findall(template) if hole not in values}
    if missing:
        raise RulesError(f"{rule_set.file.name} needs {', '.join(sorted(missing))}, which this gateway does not have")
    return _HOLE.sub(lambda hole: values[hole.group()], template)


def for_gateway(gateway: PlannedGateway) -> str:
    """Return the rules of a planned gateway; empty for a plain router. Raises RulesError."""
    chosen = choose(gateway.nat, gateway.rules)
    return text(chosen, gateway.nat, wan=gateway.wan, inside=gateway.inside) if chosen else ""


def is_iptables(script: str) -> bool:
    """Tell the text of an iptables rule set from one of nft."""
    return "\n*" in script
