"""Gateways broken on purpose, each with the probes that have to notice."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.gate.suspects import Candidate
from lab.model.presets import PRESETS

INPUT_DROP = '    iifname "wan" drop\n'
IPTABLES_INPUT_DROP = "-A INPUT -i wan -j DROP\n"


@dataclass(frozen=True)
class Breakage:
    """One gateway, what is changed in its rules, and who must see it."""

    what: str
    preset: str
    damage: tuple[tuple[str, str], ...]
    noticed: frozenset[str] = field(default_factory=frozenset)
    rules: str = "nft"

    @property
    def candidate(self) -> Candidate:
        return Candidate(PRESETS[self.preset], self.rules, self.damage)


def broken(  # noqa: PLR0913 - a table, one argument a column
    what: str, preset: str, piece: str, instead: str, noticed: str, rules: str = "nft"
) -> Breakage:
    return Breakage(what, preset, ((piece, instead),), frozenset(noticed.split(", ")), rules)


BREAKAGES = (
    broken("INPUT accepts", "port-restricted", INPUT_DROP, "", "before, clash, silence, unmapped"),
    broken("INPUT rejects", "port-restricted", INPUT_DROP, '    iifname "wan" reject\n', "before, silence, unmapped"),
    broken("INPUT accepts", "symmetric-random", INPUT_DROP, "", "before, silence, unmapped"),
    broken(
        "INPUT drops after all",
        "poisonable-home",
        "input priority 0; policy accept;",
        "input priority 0; policy drop;",
        "before, clash, silence, unmapped",
    ),
    broken(
        "not random",
        "symmetric-random",
        "masquerade fully-random",
        "masquerade",
        "mapping, ports, natdiscovery -m, stun-client",
    ),
    broken(
        "accept instead of seen",
        "address-restricted",
        "ip daddr . udp dport . ip saddr @seen accept",
        "accept",
        "filtering, silence, natdiscovery -f, stun-client",
    ),
    broken(
        "seen instead of the very flow",
        "address-restricted",
        '    iifname "wan" meta l4proto udp ip daddr . udp dport . ip saddr @seen accept\n',
        "",
        "filtering, endpoint, unreplied, natdiscovery -f, stun-client",
    ),
    broken(
        "the cone lets nobody in",
        "full-cone",
        '    iifname "wan" meta l4proto udp ct status dnat accept\n',
        "",
        "filtering, endpoint, unreplied, natdiscovery -f, stun-client",
    ),
    broken(
        "the cone never forgets",
        "full-cone",
        "{ udp sport timeout ",
        "{ udp sport timeout 9",
        "unreplied, endpoint, assured",
    ),
    broken("only first packets refresh the map", "full-cone", "update @fc", "ct state new update @fc", "endpoint"),
    broken(
        "the firewall lets all in that the map knows",
        "port-restricted",
        '    iifname "lan" accept\n',
        "    accept\n",
        "filtering",
        "port-restricted-map",
    ),
    broken("random instead of counted", "symmetric-sequential", "numgen inc", "numgen random", "ports"),
    broken(
        "the counter is used as a port",
        "symmetric-sequential",
        "numgen inc mod 512 map",
        "numgen inc mod 2 map",
        "ports",
    ),
    broken(
        "the port does not depend on the remote port",
        "symmetric-block",
        "ip daddr . udp dport",
        "ip daddr",
        "mapping, natdiscovery -m",
    ),
    broken(
        "the port depends on the remote port",
        "address-dependent",
        "ip daddr mod",
        "ip daddr . udp dport mod",
        "mapping, natdiscovery -m",
    ),
    broken("the pool is not used", "port-restricted-remap", ":20000-29999", "", "ports, stun-client"),
    broken("UDP passes", "udp-blocked", "    meta l4proto udp drop\n", "", "udp, natdiscovery -m, stun-client"),
    broken("other ports pass", "udp-blocked-443", "tcp dport 443 accept", "accept", "tcp"),
    broken("nothing passes", "udp-blocked-443", "tcp dport 443 accept", "tcp dport 444 accept", "tcp"),
    broken(
        "neighbours see inside addresses",
        "full-cone-hairpin",
        '    iifname "lan" oifname "lan" snat to',
        '    iifname "no" oifname "no" snat to',
        "hairpin",
    ),
    broken(
        "nothing is turned around",
        "port-restricted-hairpin",
        "    ip daddr",
        '    iifname "wan" ip daddr',
        "hairpin, natdiscovery -H, stun-client",
    ),
    broken("the carrier keeps ports", "cgnat", ":32768-34815", "", "ports, stun-client"),
    broken("the outer box accepts", "double", INPUT_DROP, "", "before, clash, silence, unmapped"),
    broken("INPUT accepts", "port-restricted", IPTABLES_INPUT_DROP, "", "before, clash, silence, unmapped", "iptables"),
    broken("not random", "symmetric-random", " --random-fully", "", "mapping, ports, natdiscovery -m", "iptables"),
    broken(
        "everybody is a friend",
        "address-restricted",
        "-m recent --name spoken --rsource --rcheck --seconds",
        "-m comment --comment",
        "before, filtering, silence, natdiscovery -f",
        "iptables",
    ),
    broken(
        "no way in",
        "full-cone",
        "--name inside --rsource --set",
        "--name nobody --rsource --set",
        "filtering",
        "iptables",
    ),
)
