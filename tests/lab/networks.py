"""Small simulated networks for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from clawchat.values.address import Address
from lab.model.link import CLEAN, Link
from lab.model.nat import Nat
from lab.model.plan import Plan, plan
from lab.model.topology import Host, Peer, Topology, stacked
from lab.sim.internet import Internet
from lab.sim.nat import SimulatedNat
from lab.sim.way import DEFAULT_TTL, Complaint, Datagram

INSIDE = Address("10.1.0.2", 5000)
NEIGHBOUR = Address("10.1.0.3", 5000)
WAN = "203.0.113.1"
REMOTE = Address("198.51.100.1", 7000)
OTHER_PORT = Address("198.51.100.1", 7001)
OTHER_HOST = Address("198.51.100.2", 7000)


def simulated(nat: Nat, seed: int = 0) -> SimulatedNat:
    return SimulatedNat(nat, WAN, Random(seed))


def network(*stacks: tuple[Nat, ...], peers: int = 1, link: Link = CLEAN, host_link: Link = CLEAN) -> Plan:
    """Return gateways g1, g2 … with peers g1a, g1b … behind them, and a public host of two addresses."""
    gateways = [one for number, layers in enumerate(stacks, 1) for one in stacked(f"g{number}", layers, link=link)]
    inside = [Peer(f"g{n}{'ab'[place]}", f"g{n}") for n in range(1, len(stacks) + 1) for place in range(peers)]
    return plan(Topology("test", tuple(gateways), tuple(inside), (Host("host", 2, host_link),)))


@dataclass
class Talker:
    """A socket in a simulated network that remembers what it got."""

    internet: Internet
    node: str
    address: Address
    got: list[tuple[bytes, Address, float]] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.internet.listen(self.address, self._hear, self.complaints.append)

    def _hear(self, datagram: Datagram) -> None:
        self.got.append((datagram.payload, datagram.source, self.internet.now))

    def send(self, payload: bytes, to: Address, ttl: int = DEFAULT_TTL) -> None:
        self.internet.send(self.node, Datagram(self.address, to, payload, ttl))

    def say(self, payload: bytes, to: Address, ttl: int = DEFAULT_TTL) -> None:
        """Send and let it arrive."""
        self.send(payload, to, ttl)
        self.internet.run(self.internet.now + 1)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for payload, _, _ in self.got]


def talker(internet: Internet, node: str, port: int, place: int = 0) -> Talker:
    plan = internet.plan
    host = plan.peers[node].address if node in plan.peers else plan.hosts[node].addresses[place]
    return Talker(internet, node, Address(host, port))
