"""Which address, cable and route every node of a topology gets; all backends use the same ones.

    198.51.100.0/24   public hosts, counted from 1
    203.0.113.0/24    gateways next to the router, and whatever stands behind a plain router, counted from 1
    100.64.n.0/24     between a gateway and the gateways behind it (RFC 6598)
    10.n.0.0/24       between a gateway and its peers
    .254              the router, on every cable

The public ones are for documentation (RFC 5737), so nobody owns them, and no route leads out of the laboratory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lab.model.link import Link
from lab.model.nat import Nat
from lab.model.topology import Gateway, Topology, TopologyError

HOST_NETWORK: Final = "198.51.100"
EDGE_NETWORK: Final = "203.0.113"
NESTED_NETWORK: Final = "100.64"
LAN_NETWORK: Final = "10"
PUBLIC_NETWORKS: Final = (f"{HOST_NETWORK}.0/24", f"{EDGE_NETWORK}.0/24")
ROUTER_EDGE: Final = f"{EDGE_NETWORK}.254"
ROUTER_HOST: Final = f"{HOST_NETWORK}.254"

PREFIX: Final = 24
"""Bits of every network of the laboratory."""

MAX_EDGES: Final = 253
"""Addresses of the edge network, without the router's."""


@dataclass(frozen=True, slots=True)
class PlannedHost:
    """A public host; its first address is the one it speaks from."""

    name: str
    addresses: tuple[str, ...]
    link: Link


@dataclass(frozen=True, slots=True)
class PlannedPeer:
    """A machine behind a gateway."""

    name: str
    address: str
    gateway: str


@dataclass(frozen=True, slots=True)
class PlannedGateway:
    """One NAT box between its inside and the next network outward."""

    name: str
    nat: Nat
    rules: str
    behind: str | None
    wan: str
    """Its outside address."""
    lan: str
    """Its inside address; a plain router has one address for both sides."""
    next_hop: str
    """Where it sends what leaves: the router's or the next gateway's inside address."""
    link: Link
    inside: tuple[str, ...]
    """The addresses of its peers and of the gateways behind it."""
    delegated: tuple[str, ...]
    """Public addresses on its inside, which the world outside must route to it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A topology with addresses."""

    topology: Topology
    hosts: Mapping[str, PlannedHost]
    gateways: Mapping[str, PlannedGateway]
    peers: Mapping[str, PlannedPeer]

    @property
    def name(self) -> str:
        """Return the topology's name."""
        return self.topology.name

    def layers(self, gateway: str) -> tuple[PlannedGateway, ...]:
        """Return a gateway and those it stands behind, from the inside out."""
        return tuple(self.gateways[one.name] for one in self.topology.layers(gateway))

    def nats(self, gateway: str) -> tuple[Nat, ...]:
        """Return the NATs that a peer behind this gateway passes, from the inside out."""
        return tuple(one.nat for one in self.layers(gateway))

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "topology": self.name,
            "router": {"addresses": [ROUTER_HOST, ROUTER_EDGE]},
            "hosts": [{"name": one.name, "addresses": list(one.addresses)} for one in self.hosts.values()],
            "gateways": [
                {
                    "name": one.name,
                    "mapping": one.nat.mapping,
                    "filtering": one.nat.filtering,
                    "allocation": str(one.nat.allocation),
                    "rules": one.rules,
                    "behind": one.behind,
                    "wan": one.wan,
                    "lan": one.lan,
                }
                for one in self.gateways.values()
            ],
            "peers": [
                {"name": one.name, "address": one.address, "gateway": one.gateway} for one in self.peers.values()
            ],
        }


@dataclass(slots=True)
class _Planner:
    """Hands out addresses, from the internet inward."""

    topology: Topology
    edges: int = 0
    """Addresses of the edge network that are gone."""
    nested: int = 0
    lans: int = 0
    gateways: dict[str, PlannedGateway] = field(default_factory=dict)
    peers: dict[str, PlannedPeer] = field(default_factory=dict)

    def public(self) -> str:
        self.edges += 1
        if self.edges > MAX_EDGES:
            raise TopologyError(f"more than {MAX_EDGES} nodes need an address of {EDGE_NETWORK}.0/{PREFIX}")
        return f"{EDGE_NETWORK}.{self.edges}"

    def place(self, gateway: Gateway, wan: str, next_hop: str) -> tuple[str, ...]:
        """Give a gateway its addresses, then everything behind it; return the public addresses on its inside."""
        inner = [one for one in self.topology.gateways if one.behind == gateway.name]
        peers = [one for one in self.topology.peers if one.gateway == gateway.name]
        names = [*(one.name for one in peers), *(one.name for one in inner)]
        if not gateway.nat.translates:
            lan = wan
            addresses = {name: self.public() for name in names}
        else:
            network = self._network(nested=bool(inner))
            lan = f"{network}.1"
            addresses = {name: f"{network}.{place}" for place, name in enumerate(names, 2)}
        for peer in peers:
            self.peers[peer.name] = PlannedPeer(peer.name, addresses[peer.name], gateway.name)
        deeper = [address for one in inner for address in self.place(one, addresses[one.name], lan)]
        public = () if gateway.nat.translates else (*addresses.values(), *deeper)
        self.gateways[gateway.name] = PlannedGateway(
            gateway.name,
            gateway.nat,
            gateway.rules,
            gateway.behind,
            wan,
            lan,
            next_hop,
            gateway.link,
            tuple(addresses.values()),
            public,
        )
        return public

    def _network(self, *, nested: bool) -> str:
        if nested:
            self.nested += 1
            return f"{NESTED_NETWORK}.{self.nested}"
        self.lans += 1
        return f"{LAN_NETWORK}.{self.lans}.0"


def plan(topology: Topology) -> Plan:
    """Give everything in a topology its addresses."""
    planner = _Planner(topology)
    for gateway in topology.gateways:
        if gateway.behind is None:
            planner.place(gateway, planner.public(), ROUTER_EDGE)
    hosts: dict[str, PlannedHost] = {}
    taken = 0
    for host in topology.hosts:
        addresses = tuple(f"{HOST_NETWORK}.{taken + place}" for place in range(1, host.addresses + 1))
        taken += host.addresses
        hosts[host.name] = PlannedHost(host.name, addresses, host.link)
    order = [one.name for one in topology.gateways]
    gateways = {name: planner.gateways[name] for name in order}
    return Plan(topology, hosts, gateways, planner.peers)
