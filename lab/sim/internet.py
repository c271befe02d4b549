"""All nodes of a plan, and the datagrams between them, in virtual time.

A datagram crosses the same hops as in a real laboratory: gateways outward, the router, gateways inward. Each counts
the TTL down before it translates, and a datagram that dies is reported to its sender.
"""

from __future__ import annotations

import enum
import heapq
import itertools
from collections.abc import Callable
from random import Random
from typing import Final, NamedTuple

from clawchat.values.address import Address
from lab.model.link import CLEAN, Crossing, Link
from lab.model.nat import Unsolicited
from lab.model.plan import ROUTER_EDGE, ROUTER_HOST, Plan, PlannedGateway
from lab.sim.nat import SimulatedNat

DEFAULT_TTL: Final = 64
"""What Linux gives a datagram (net.ipv4.ip_default_ttl)."""


class Datagram(NamedTuple):
    """One datagram as it is at some place of its way."""

    source: Address
    destination: Address
    payload: bytes
    ttl: int = DEFAULT_TTL


class Trouble(enum.StrEnum):
    """What an ICMP message says about a datagram."""

    TTL_EXCEEDED = "ttl-exceeded"
    PORT_UNREACHABLE = "port-unreachable"
    HOST_UNREACHABLE = "host-unreachable"


class Complaint(NamedTuple):
    """An ICMP message, as the sender of the datagram sees it."""

    trouble: Trouble
    offender: str
    """The address of who complains."""
    datagram: Datagram
    """As it was sent."""


class _Journey(NamedTuple):
    """A datagram under way, and how its sender knows it."""

    origin: str
    sent: Datagram
    began: float


Receiver = Callable[[Datagram], None]
Complainer = Callable[[Complaint], None]


class _Cable:
    """Both directions of a link to the router."""

    __slots__ = ("inward", "outward")

    def __init__(self, link: Link, seed: str) -> None:
        self.outward = Crossing(link, Random(f"{seed}:out")) if link != CLEAN else None
        self.inward = Crossing(link, Random(f"{seed}:in")) if link != CLEAN else None


class Internet:
    """A plan at work. Times are seconds; the clock starts at 0 and moves only in `run`."""

    def __init__(self, plan: Plan, *, seed: int = 0) -> None:
        self.plan = plan
        self.seed = seed
        self.now = 0.0
        self.delivered = 0
        """Datagrams that reached a program."""
        self.passes: Callable[[Datagram], bool] = lambda _datagram: True
        """What the router lets through."""
        self._order = itertools.count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._receivers: dict[Address, tuple[Receiver, Complainer | None]] = {}
        self._nats = {
            one.name: SimulatedNat(one.nat, one.wan, Random(f"{seed}:{one.name}"))
            for one in plan.gateways.values()
            if one.nat.translates
        }
        self._cables = {one.name: _Cable(one.link, f"{seed}:{one.name}") for one in plan.hosts.values()}
        self._cables |= {
            one.name: _Cable(one.link, f"{seed}:{one.name}") for one in plan.gateways.values() if one.behind is None
        }
        self._owner = {address: one.name for one in plan.hosts.values() for address in one.addresses}
        """Which node an address of the open internet belongs to, and below, of each gateway's inside."""
        self._owner |= {
            address: one.name
            for one in plan.gateways.values()
            if one.behind is None
            for address in (one.wan, *one.delegated)
        }
        self._cut: set[str] = set()
        self._inside: dict[str, dict[str, str]] = {name: {} for name in plan.gateways}
        for peer in plan.peers.values():
            self._inside[peer.gateway][peer.address] = peer.name
        for gateway in plan.gateways.values():
            if gateway.behind is not None:
                for address in (gateway.wan, *gateway.delegated):
                    self._inside[gateway.behind][address] = gateway.name

    # ----------------------------------------------------------------------------------------------- for programs

    def listen(self, address: Address, receiver: Receiver, complainer: Complainer | None = None) -> None:
        """Hand what arrives at an address to a function; each inside address of the plan is its own."""
        self._receivers[address] = receiver, complainer

    def close(self, address: Address) -> None:
        """Stop listening."""
        self._receivers.pop(address, None)

    def at(self, time: float, call: Callable[[], None]) -> None:
        """Make a call at some time from now on."""
        heapq.heappush(self._due, (max(time, self.now), next(self._order), call))

    def run(self, until: float, *, stop: Callable[[], bool] | None = None) -> bool:
        """Let things happen up to a time, or until `stop` says so after one of them; tell whether it did."""
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
            if stop is not None and stop():
                return True
        self.now = max(self.now, until)
        return False

    def send(self, node: str, datagram: Datagram) -> None:
        """Send a datagram from a peer or a public host; its source is one of that node's own addresses."""
        journey = _Journey(node, datagram, self.now)
        peer = self.plan.peers.get(node)
        if peer is None:
            self._cross(node, datagram, journey, outward=True)
            return
        neighbour = self._inside[peer.gateway].get(datagram.destination.host)
        if neighbour is not None and self.plan.gateways[peer.gateway].nat.translates:
            self._arrive(neighbour, datagram, journey)
        else:
            self._leave(self.plan.gateways[peer.gateway], datagram, journey)

    def gateway(self, name: str) -> SimulatedNat | None:
        """Return the NAT of a gateway, None of a plain router."""
        return self._nats.get(name)

    def renumber(self, name: str, address: str) -> None:
        """Give a gateway next to the router another outside address, and an empty table."""
        old = self._nats[name]
        self._owner.pop(old.address, None)
        self._owner[address] = name
        self._nats[name] = SimulatedNat(old.nat, address, Random(f"{address}:{name}"))

    def passes_tcp(self, peer: str, port: int) -> bool:
        """Tell whether a peer can open a TCP connection to a port of a public host."""
        return all(nat.traffic.tcp(port) for nat in self.plan.nats(self.plan.peers[peer].gateway))

    def forget(self, gateway: str) -> None:
        """Make a gateway lose all its mappings, as after a restart."""
        self._nats[gateway].forget()

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

    def _leave(self, gateway: PlannedGateway, datagram: Datagram, journey: _Journey) -> None:
        """Let a gateway handle a datagram from its inside."""
        destination = datagram.destination
        nat = self._nats.get(gateway.name)
        if nat is not None and destination.host == gateway.wan:
            self._turn(gateway, nat, datagram, journey)
            return
        if datagram.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, gateway.lan, journey)
            return
        ttl = datagram.ttl - 1
        if nat is None and destination.host in self._inside[gateway.name]:
            self._arrive(self._inside[gateway.name][destination.host], datagram._replace(ttl=ttl), journey)
            return
        source = datagram.source
        if nat is not None:
            outside = nat.outbound(source, destination, self.now)
            if outside is None:
                return
            source = outside
        moved = Datagram(source, destination, datagram.payload, ttl)
        if gateway.behind is None:
            self._cross(gateway.name, moved, journey, outward=True)
            return
        parent = self.plan.gateways[gateway.behind]
        neighbour = self._inside[parent.name].get(destination.host)
        if neighbour is not None:
            self._arrive(neighbour, moved, journey)
        else:
            self._leave(parent, moved, journey)

    def _turn(self, gateway: PlannedGateway, nat: SimulatedNat, datagram: Datagram, journey: _Journey) -> None:
        """Let a gateway handle a datagram from its inside to its own outside address."""
        ends = nat.hairpin(datagram.source, datagram.destination, self.now)
        if ends is None:
            self._complain(Trouble.PORT_UNREACHABLE, gateway.wan, journey)
        elif datagram.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, gateway.lan, journey)
        else:
            turned = Datagram(*ends, datagram.payload, datagram.ttl - 1)
            self._arrive(self._inside[gateway.name][turned.destination.host], turned, journey)

    def _route(self, datagram: Datagram, journey: _Journey, came_from: str) -> None:
        """Let the router handle a datagram."""
        if datagram.ttl <= 1:
            side = ROUTER_HOST if came_from in self.plan.hosts else ROUTER_EDGE
            self._complain(Trouble.TTL_EXCEEDED, side, journey)
            return
        if not self.passes(datagram):
            return
        owner = self._owner.get(datagram.destination.host)
        if owner is None:
            side = ROUTER_HOST if came_from in self.plan.hosts else ROUTER_EDGE
            self._complain(Trouble.HOST_UNREACHABLE, side, journey)
            return
        if self._cut and self.is_cut(came_from, owner):
            return
        self._cross(owner, datagram._replace(ttl=datagram.ttl - 1), journey, outward=False)

    def _cross(self, node: str, datagram: Datagram, journey: _Journey, *, outward: bool) -> None:
        """Send a datagram through the cable between a node and the router."""
        cable = self._cables[node]
        crossing = cable.outward if outward else cable.inward
        if crossing is None:
            self._through(node, datagram, journey, outward=outward)
            return
        for arrival in crossing.arrivals(self.now):
            if arrival <= self.now:
                self._through(node, datagram, journey, outward=outward)
            else:
                self.at(arrival, lambda: self._through(node, datagram, journey, outward=outward))

    def _through(self, node: str, datagram: Datagram, journey: _Journey, *, outward: bool) -> None:
        if outward:
            self._route(datagram, journey, node)
        else:
            self._arrive(node, datagram, journey)

    def _arrive(self, node: str, datagram: Datagram, journey: _Journey) -> None:
        """Let a node handle a datagram from outside or from its neighbour."""
        gateway = self.plan.gateways.get(node)
        if gateway is None:
            self.at(self.now, lambda: self._deliver(datagram, journey))
            return
        nat = self._nats.get(node)
        inside = datagram.destination
        if nat is not None:
            target = nat.inbound(datagram.source, inside, self.now, dying=datagram.ttl <= 1)
            if target is None:
                if gateway.nat.unsolicited is Unsolicited.ACCEPT and gateway.nat.traffic.udp:
                    self._complain(Trouble.PORT_UNREACHABLE, gateway.wan, journey)
                return
            inside = target
        if datagram.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, gateway.wan, journey)
            return
        neighbour = self._inside[node].get(inside.host)
        if neighbour is not None:
            moved = Datagram(datagram.source, inside, datagram.payload, datagram.ttl - 1)
            self._arrive(neighbour, moved, journey)

    def _deliver(self, datagram: Datagram, journey: _Journey) -> None:
        found = self._receivers.get(datagram.destination)
        if found is None:
            self._complain(Trouble.PORT_UNREACHABLE, datagram.destination.host, journey)
            return
        self.delivered += 1
        found[0](datagram)

    def _complain(self, trouble: Trouble, offender: str, journey: _Journey) -> None:
        """Tell the sender; the way back takes as long as the way here did."""
        found = self._receivers.get(journey.sent.source)
        if found is None or found[1] is None:
            return
        complaint = Complaint(trouble, offender, journey.sent)
        complainer = found[1]
        self.at(2 * self.now - journey.began, lambda: complainer(complaint))
