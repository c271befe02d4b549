"""All nodes of a plan, and the datagrams between them, in virtual time.

A datagram crosses the same hops as in a real laboratory: gateways outward, the router, gateways inward. Each counts
the TTL down before it translates, and a datagram that dies is reported to its sender.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Final, NamedTuple

from clawchat.values.address import Address
from lab.model.link import Link
from lab.model.nat import Nat
from lab.model.plan import ROUTER_EDGE, ROUTER_HOST, Plan, PlannedGateway
from lab.sim.clock import Clock
from lab.sim.nat import SimulatedNat
from lab.sim.twins import Twins
from lab.sim.way import Complaint, Datagram, Gateway, Handler, Journey, Lane, Trouble

Receiver = Callable[[Datagram], None]
Complainer = Callable[[Complaint], None]

_NO_TWINS: Final[Mapping[str, Mapping[str, Nat]]] = {}


class _Interface(NamedTuple):
    """What the router has of each node next to it."""

    node: str
    router: str
    """The router's own address on this side."""
    inward: Lane
    """The way to the node."""


class Internet(Clock):
    """A plan at work. ``twins`` are the NATs that decide beside that of a gateway, by name."""

    def __init__(self, plan: Plan, *, seed: int = 0, twins: Mapping[str, Mapping[str, Nat]] = _NO_TWINS) -> None:
        super().__init__()
        self.plan = plan
        self.seed = seed
        links = [*(one.link for one in plan.hosts.values()), *(one.link for one in plan.gateways.values())]
        self.loses = any(link.loses for link in links)
        """Whether a datagram may get lost in a cable."""
        self.delivered = 0
        """Datagrams that reached a program."""
        self.passes: Callable[[Datagram], bool] | None = None
        """What the router lets through; None for everything."""
        self._receivers: dict[Address, tuple[Receiver, Complainer | None]] = {}
        self._gateways = {
            one.name: Gateway(
                one,
                self._nat_of(one, twins.get(one.name)) if one.nat.translates else None,
                self,
                self._complain,
            )
            for one in plan.gateways.values()
        }
        self._cut: set[str] = set()
        self._owner: dict[str, _Interface] = {}
        """Where the router sends what is for an address of the open internet."""
        self._first: dict[str, Handler] = {}
        """What takes a datagram that a node sends."""
        for host in plan.hosts.values():
            self._first[host.name] = self._connect(host.name, host.addresses, host.link, ROUTER_HOST, self._hand_over)
        for planned in plan.gateways.values():
            gateway = self._gateways[planned.name]
            addresses = (planned.wan, *planned.delegated)
            if planned.behind is None:
                gateway.out = self._connect(planned.name, addresses, planned.link, ROUTER_EDGE, gateway.arrive)
            else:
                outer = self._gateways[planned.behind]
                gateway.out = outer.take_from_within
                outer.inside |= dict.fromkeys(addresses, gateway.arrive)
        for peer in plan.peers.values():
            gateway = self._gateways[peer.gateway]
            gateway.inside[peer.address] = self._hand_over
            self._first[peer.name] = gateway.take

    def _nat_of(self, planned: PlannedGateway, twins: Mapping[str, Nat] | None) -> SimulatedNat:
        def chance() -> Random:
            return Random(f"{self.seed}:{planned.name}")

        if twins:
            return Twins(planned.nat, planned.wan, chance, twins)
        return SimulatedNat(planned.nat, planned.wan, chance())

    def _connect(self, node: str, addresses: tuple[str, ...], link: Link, router: str, arrive: Handler) -> Handler:
        """Lay a cable between a node and the router; return its end at the node."""
        interface = _Interface(node, router, Lane(self, link, f"{self.seed}:{node}:in", arrive))
        self._owner |= dict.fromkeys(addresses, interface)
        return Lane(self, link, f"{self.seed}:{node}:out", partial(self._route, interface)).enter

    # ----------------------------------------------------------------------------------------------- for programs

    def listen(self, address: Address, receiver: Receiver, complainer: Complainer | None = None) -> None:
        """Hand what arrives at an address to a function; each inside address of the plan is its own."""
        self._receivers[address] = receiver, complainer

    def close(self, address: Address) -> None:
        """Stop listening."""
        self._receivers.pop(address, None)

    def send(self, node: str, datagram: Datagram) -> None:
        """Send a datagram from a peer or a public host; its source is one of that node's own addresses."""
        self._first[node](Journey(datagram, self.now))

    def gateway(self, name: str) -> SimulatedNat | None:
        """Return the NAT of a gateway, None of a plain router."""
        return self._gateways[name].nat

    def renumber(self, name: str, address: str) -> None:
        """Give a gateway next to the router another outside address, and an empty table."""
        old = self._nat(name)
        self._owner[address] = self._owner.pop(old.address)
        self._gateways[name].nat = SimulatedNat(old.nat, address, Random(f"{address}:{name}"))

    def passes_tcp(self, peer: str, port: int) -> bool:
        """Tell whether a peer can open a TCP connection to a port of a public host."""
        return all(nat.traffic.tcp(port) for nat in self.plan.nats(self.plan.peers[peer].gateway))

    def forget(self, gateway: str) -> None:
        """Make a gateway lose all its mappings, as after a restart."""
        self._nat(gateway).forget()

    def _nat(self, gateway: str) -> SimulatedNat:
        nat = self._gateways[gateway].nat
        if nat is None:
            raise KeyError(gateway)
        return nat

    def cut(self, node: str) -> None:
        """Let the router drop whatever comes from a host or a gateway next to it, or goes there."""
        self._cut.add(node)

    def is_cut(self, *nodes: str) -> bool:
        """Tell whether the router drops what goes to any of these nodes."""
        return not self._cut.isdisjoint(nodes)

    def mend(self, node: str) -> None:
        """Undo a cut."""
        self._cut.discard(node)

    # --------------------------------------------------------------------------------------------------- the way

    def _route(self, origin: _Interface, journey: Journey) -> None:
        """Let the router handle a datagram."""
        if journey.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, origin.router, journey)
            return
        if self.passes is not None and not self.passes(journey.datagram):
            return
        target = self._owner.get(journey.destination.host)
        if target is None:
            self._complain(Trouble.HOST_UNREACHABLE, origin.router, journey)
            return
        if self._cut and self.is_cut(origin.node, target.node):
            return
        journey.ttl -= 1
        target.inward.enter(journey)

    def _hand_over(self, journey: Journey) -> None:
        """Hand a datagram to its program: not before the one that sends it is done, if there is no cable between."""
        self.soon(self._deliver, journey)

    def _deliver(self, journey: Journey) -> None:
        found = self._receivers.get(journey.destination)
        if found is None:
            self._complain(Trouble.PORT_UNREACHABLE, journey.destination.host, journey)
            return
        self.delivered += 1
        found[0](journey.datagram)

    def _complain(self, trouble: Trouble, offender: str, journey: Journey) -> None:
        """Tell the sender; the way back takes as long as the way here did."""
        found = self._receivers.get(journey.sent.source)
        if found is None or found[1] is None:
            return
        self.at(2 * self.now - journey.began, found[1], Complaint(trouble, offender, journey.sent))
