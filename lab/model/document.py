"""The YAML file that says a topology.

    topology: two-homes
    hosts:
      relay:
      stun: {addresses: 2}
    gateways:
      left: {nat: port-restricted, link: {delay_ms: 20, loss_percent: 1}}
      right:
        nat: {mapping: endpoint-independent, filtering: address-dependent, lifetime: {unreplied: 30, endpoint: 60}}
    peers:
      anna: left
      bob: right

Every key is known, every value has one type, and whatever is wrong is told with its line.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import yaml

from clawchat.values.errors import ConfigError
from lab.model.link import CLEAN, Link
from lab.model.nat import (
    Allocation,
    Assignment,
    Dependence,
    Hairpin,
    Lifetime,
    Nat,
    Traffic,
    Unsolicited,
)
from lab.model.presets import preset
from lab.model.sections import Document, Section, flag, number, text, whole, wholes, word_of
from lab.model.topology import DEFAULT_RULES, Gateway, Host, Peer, Topology, TopologyError, stacked

TOP_KEYS: Final = ("topology", "hosts", "gateways", "peers")
HOST_KEYS: Final = ("addresses", "link")
GATEWAY_KEYS: Final = ("nat", "behind", "link", "rules")
PEER_KEYS: Final = ("gateway",)
LINK_KEYS: Final = ("delay_ms", "jitter_ms", "loss_percent", "lose_every", "reorder_percent", "duplicate_percent")
NAT_KEYS: Final = (
    "preset",
    "mapping",
    "filtering",
    "ports",
    "hairpin",
    "lifetime",
    "unsolicited",
    "udp",
    "tcp_ports",
    "shares_ports",
)
PORTS_KEYS: Final = ("kind", "low", "high", "step")
LIFETIME_KEYS: Final = ("unreplied", "assured", "endpoint")


def load(path: Path) -> Topology:
    """Read a topology from a file. Raises ConfigError."""
    try:
        content = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"can't be read: {reason}", file=str(path)) from error
    return parse(content, str(path))


def parse(content: str, file: str = "<text>") -> Topology:
    """Read a topology; `file` is the name that errors carry. Raises ConfigError."""
    document = Document(content, file)
    top = Section(document, document.root, "", TOP_KEYS)
    name = top.value("topology", text, "")
    if not name:
        document.fail("a topology needs a name", top.mark, "topology", "Write `topology: NAME` first.")
    hosts = top.section("hosts", None)
    gateways = top.section("gateways", None)
    peers = top.section("peers", None)
    made_hosts = tuple(_host(hosts, one) for one in hosts.names()) if hosts else ()
    made_gateways = tuple(each for one in gateways.names() for each in _gateways(gateways, one)) if gateways else ()
    made_peers = tuple(_peer(peers, one) for one in peers.names()) if peers else ()
    try:
        return Topology(name, made_gateways, made_peers, made_hosts)
    except TopologyError as error:
        document.fail(str(error), _place(error, top, [hosts, gateways, peers]), error.key)


def _place(error: TopologyError, top: Section, sections: list[Section | None]) -> yaml.Mark:
    for section in sections:
        if section is not None and error.name in section.names():
            node = section.node(error.name)
            if error.key and isinstance(node, yaml.MappingNode):
                return Section(section.document, node, "", None).place(error.key)
            return section.place(error.name)
    return top.mark


def _host(hosts: Section, name: str) -> Host:
    said = hosts.section(name, HOST_KEYS)
    return Host(name, said.value("addresses", whole, 1), _link(said)) if said else Host(name)


def _peer(peers: Section, name: str) -> Peer:
    node = peers.node(name)
    if isinstance(node, yaml.MappingNode):
        said = peers.section(name, PEER_KEYS)
        gateway = said.value("gateway", text, "") if said else ""
    else:
        gateway = peers.value(name, text, "")
    if not gateway:
        peers.document.fail(
            f"the peer {name!r} stands behind no gateway",
            peers.place(name),
            f"peers.{name}",
            f"Write `{name}: GATEWAY`.",
        )
    return Peer(name, gateway)


def _gateways(gateways: Section, name: str) -> tuple[Gateway, ...]:
    said = gateways.section(name, GATEWAY_KEYS)
    if said is None or said.node("nat") is None:
        gateways.document.fail(f"the gateway {name!r} has no nat", gateways.place(name), f"gateways.{name}.nat")
    layers = _layers(said)
    behind = said.value("behind", text, "") or None
    rules = said.value("rules", text, DEFAULT_RULES)
    return stacked(name, layers, behind=behind, link=_link(said), rules=rules)


def _layers(said: Section) -> tuple[Nat, ...]:
    node = said.node("nat")
    if not isinstance(node, yaml.MappingNode):
        return said.value("nat", _preset_layers, ())
    nat = said.section("nat", NAT_KEYS)
    return (_nat(nat),) if nat else ()


def _preset_layers(value: object) -> tuple[Nat, ...]:
    return preset(text(value)).layers


def _nat(said: Section) -> Nat:
    none: tuple[Nat, ...] = ()
    base = said.value("preset", _preset_layers, none)
    if len(base) > 1:
        said.document.fail(
            "a preset of several NATs cannot be changed here", said.place("preset"), said.under("preset")
        )
    if not base and (said.node("mapping") is None or said.node("filtering") is None):
        said.document.fail("a nat needs a mapping and a filtering, or a preset to start from", said.mark, said.path)
    dependence = word_of(Dependence)
    start = base[0] if base else Nat(Dependence.ENDPOINT_INDEPENDENT, Dependence.ENDPOINT_INDEPENDENT)
    return replace(
        start,
        mapping=said.value("mapping", dependence, start.mapping),
        filtering=said.value("filtering", dependence, start.filtering),
        allocation=_allocation(said, start.allocation),
        hairpin=said.value("hairpin", word_of(Hairpin), start.hairpin),
        lifetime=_lifetime(said, start.lifetime),
        unsolicited=said.value("unsolicited", word_of(Unsolicited), start.unsolicited),
        traffic=Traffic(
            said.value("udp", flag, start.traffic.udp), said.value("tcp_ports", wholes, start.traffic.tcp_ports)
        ),
        shares_ports=said.value("shares_ports", flag, start.shares_ports),
    )


def _allocation(said: Section, start: Allocation) -> Allocation:
    ports = said.section("ports", PORTS_KEYS)
    if ports is None:
        return start
    try:
        return Allocation(
            ports.value("kind", word_of(Assignment), start.assignment),
            ports.value("low", whole, start.low),
            ports.value("high", whole, start.high),
            ports.value("step", whole, start.step),
        )
    except ValueError as error:
        said.document.fail(str(error), said.place("ports"), said.under("ports"))


def _lifetime(said: Section, start: Lifetime) -> Lifetime:
    lifetime = said.section("lifetime", LIFETIME_KEYS)
    if lifetime is None:
        return start
    try:
        return Lifetime(
            lifetime.value("unreplied", number, start.unreplied),
            lifetime.value("assured", number, start.assured),
            lifetime.value("endpoint", number, start.endpoint),
        )
    except ValueError as error:
        said.document.fail(str(error), said.place("lifetime"), said.under("lifetime"))


def _link(said: Section) -> Link:
    link = said.section("link", LINK_KEYS)
    if link is None:
        return CLEAN
    try:
        return Link(
            delay=link.value("delay_ms", number, 0.0) / 1e3,
            jitter=link.value("jitter_ms", number, 0.0) / 1e3,
            loss=link.value("loss_percent", number, 0.0) / 1e2,
            lose_every=link.value("lose_every", whole, 0),
            reorder=link.value("reorder_percent", number, 0.0) / 1e2,
            duplicate=link.value("duplicate_percent", number, 0.0) / 1e2,
        )
    except ValueError as error:
        said.document.fail(str(error), said.place("link"), said.under("link"))
