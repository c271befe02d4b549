"""Mixes of NATs, drawn from published measurements.

What the sources say and what we made of it are kept apart: ``share`` of a group is theirs, as far as they say it, and
the presets inside a group, with their weights, are our judgement of which boxes it is made of.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Group:
    """A share of all ends, and which presets stand for it, with their weights."""

    name: str
    share: float
    """Percent of all ends."""
    presets: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Mix:
    """A population of ends."""

    name: str
    source: str
    """Authors, title, year and place of the figures."""
    says: str
    """What is theirs."""
    judged: str
    """What is our judgement."""
    groups: tuple[Group, ...]

    def draw(self, random: Random) -> str:
        """Draw the preset of one end."""
        group = random.choices(self.groups, [one.share for one in self.groups])[0]
        return random.choices(list(group.presets), list(group.presets.values()))[0]

    def share(self, preset: str) -> float:
        """Return the percentage of ends behind a preset."""
        return sum(one.share * one.presets.get(preset, 0.0) / sum(one.presets.values()) for one in self.groups)


HOME: Final = {
    "port-restricted": 55.0,
    "poisonable-home": 20.0,
    "double": 10.0,
    "port-restricted-remap": 5.0,
    "cgnat": 5.0,
    "address-restricted": 5.0,
}
"""Boxes that keep one port for all and let in what was sent to: mostly Linux, one in five with an open input chain."""

CHANGING: Final = {"symmetric-random": 60.0, "symmetric-sequential": 25.0, "symmetric-block": 15.0}
"""Boxes that give every destination another port."""

PEERS: Final = Mix(
    "peers",
    "Halkes and Pouwelse, UDP NAT and Firewall Puncturing in the Wild, NETWORKING 2011",
    "of the peers of a file-sharing network 79 % can't be reached from outside; 64 % are behind something that "
    "can be punched, and 11 % behind a NAT whose mapping depends on the destination",
    "that the 21 % which can be reached are half without a NAT and half behind full cones; that the 4 % left over let "
    "no UDP pass; which boxes make up the 64 % and the 11 %",
    (
        Group("reachable", 21.0, {"open": 1.0, "full-cone": 1.0}),
        Group("one port for all", 64.0, HOME),
        Group("a port for each destination", 11.0, CHANGING),
        Group("no UDP", 4.0, {"udp-blocked": 3.0, "udp-blocked-443": 1.0}),
    ),
)

CARRIERS: Final = Mix(
    "carriers",
    "Richter et al., A Multi-perspective Analysis of Carrier-Grade NAT Deployment, IMC 2016",
    "carrier-grade NAT in 17 to 18 % of the networks of fixed lines and in more than 90 % of those of mobiles; ports "
    "that depend on the destination in less than 2 % of home routers, 11 % of the carriers' NATs of fixed networks and "
    "40 % of those of mobile ones",
    "that shares of networks are shares of ends; that half of all ends are mobile; that those without a carrier's NAT "
    "are behind a home router, or, if mobile, have a public address; which boxes make up each group",
    (
        Group("fixed, home router, one port for all", 40.4, HOME),
        Group("fixed, home router, a port for each destination", 0.8, CHANGING),
        Group("fixed, carrier's NAT, one port for all", 7.8, {"cgnat": 1.0}),
        Group("fixed, carrier's NAT, a port for each destination", 1.0, {"symmetric-block": 1.0}),
        Group("mobile, carrier's NAT, one port for all", 27.6, {"port-restricted-remap": 3.0, "full-cone": 1.0}),
        Group("mobile, carrier's NAT, a port for each destination", 18.4, CHANGING),
        Group("mobile, public address", 4.0, {"open": 1.0}),
    ),
)

MIXES: Final[Mapping[str, Mix]] = {mix.name: mix for mix in (PEERS, CARRIERS)}
