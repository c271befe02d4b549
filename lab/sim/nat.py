"""One NAT of the model, as a table and two functions: `outbound` and `inbound`.

It behaves as a Linux gateway with the same choices does, early packets of a peer included; the netfilter backend
is measured against it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable
from random import Random
from typing import Final, NamedTuple

from clawchat.values.address import Address
from lab.model.nat import ASSURED_AFTER, Allocation, Assignment, Dependence, Hairpin, Nat, Unsolicited

MAX_TRIES: Final = 64
"""Random ports tried before a NAT counts as out of ports; it is then nearly full."""

SWEEP_AFTER: Final = 4096
"""New flows after which dead entries are removed: seldom, since they are also replaced when met."""


def mapping_key(mapping: Dependence, source: Address, destination: Address) -> Hashable:
    """Return what must be equal for two packets from inside to leave from the same port (RFC 4787, section 4.1)."""
    match mapping:
        case Dependence.ENDPOINT_INDEPENDENT:
            return source
        case Dependence.ADDRESS_DEPENDENT:
            return source, destination.host
        case Dependence.ADDRESS_AND_PORT_DEPENDENT:
            return source, destination


def filter_key(filtering: Dependence, remote: Address) -> Hashable:
    """Return what a remote end must share with one that was sent to for its packets to pass (section 5)."""
    match filtering:
        case Dependence.ENDPOINT_INDEPENDENT:
            return None
        case Dependence.ADDRESS_DEPENDENT:
            return remote.host
        case Dependence.ADDRESS_AND_PORT_DEPENDENT:
            return remote


class _Mapping:
    """An outside port that some inside endpoint holds, and whom it may hear from there."""

    __slots__ = ("expires", "permits", "port", "source")

    def __init__(self, source: Address, port: int, expires: float) -> None:
        self.source = source
        self.port = port
        self.expires = expires
        self.permits: dict[Hashable, float] = {}
        """Until when packets of a filter key pass."""


class _Flow:
    """One outside port with one remote end: what Linux's connection tracking has an entry for."""

    __slots__ = ("began", "expires", "from_inside", "mapping", "replied")

    def __init__(self, mapping: _Mapping | None, now: float, *, from_inside: bool) -> None:
        self.mapping = mapping
        """None: the gateway itself took a packet that nobody asked for."""
        self.from_inside = from_inside
        """The side that sent the first packet."""
        self.began = now
        self.replied = False
        self.expires = 0.0


class _Turned(NamedTuple):
    """One direction of a flow between two inside endpoints."""

    flow: _Flow
    ends: tuple[Address, Address] | None
    """Source and destination as the receiver sees them; None when the gateway took the first packet for itself."""
    forward: bool
    """From who spoke first."""


class SimulatedNat:
    """The state of one gateway; `address` is its outside address."""

    def __init__(self, nat: Nat, address: str, random: Random) -> None:
        self.nat = nat
        self.address = address
        self._random = random
        self._mappings: dict[Hashable, _Mapping] = {}
        self._holders: dict[int, _Mapping] = {}
        """Who had an outside port first, for packets that belong to no flow. Where ports are preserved it goes by
        inside ports, which is all that the rule sets can learn."""
        self._flows: dict[tuple[int, Address], _Flow] = {}
        """By outside port and remote end."""
        self._leaving: dict[tuple[Address, Address], tuple[_Mapping, _Flow, Address]] = {}
        """By inside and remote end: the mapping, the flow and its outside end, whose port is another one after a
        clash."""
        self._turned: dict[tuple[Address, Address], _Turned] = {}
        """By inside end and the outside address it sends to, which is our own."""
        self._counter = 0
        self._since_sweep = 0
        # What is asked for with every packet is looked up once.
        self._udp = nat.traffic.udp
        self._unreplied = nat.lifetime.unreplied
        self._assured = nat.lifetime.assured
        self._beyond = nat.lifetime.endpoint
        self._remembers = nat.filtering is not Dependence.ADDRESS_AND_PORT_DEPENDENT
        self._keeps = self._remembers or self._beyond is not None
        """Whether a packet from inside leaves more behind than a flow that goes on."""
        self._preserves = nat.allocation.assignment is Assignment.PRESERVE
        self._choose: Callable[[Address], int] = _chooser(nat.allocation, self._draw, self._next)

    # ------------------------------------------------------------------------------------------------ the two verbs

    def outbound(self, source: Address, destination: Address, now: float) -> Address | None:
        """Return the outside address from which a packet leaves; None when it does not leave."""
        if not self._udp:
            return None
        known = self._leaving.get((source, destination))
        if known is None or known[1].expires <= now:
            known = self._open(source, destination, now)
            if known is None:
                return None
        mapping, flow, outside = known
        self._renew(flow, now, from_inside=True)
        if self._keeps or flow.mapping is not mapping:
            self._remember(mapping, flow, destination, now)
        return outside

    def inbound(self, source: Address, destination: Address, now: float, *, dying: bool = False) -> Address | None:
        """Return the inside address that a packet from outside reaches; None when it goes no further.

        A dying packet, whose TTL ends here, opens no flow.
        """
        if not self._udp:
            return None
        place = (destination.port, source)
        flow = self._flows.get(place)
        if flow is not None and flow.expires > now:
            self._renew(flow, now, from_inside=False)
            return flow.mapping.source if flow.mapping else None
        holder = self._admitting(destination.port, source, now)
        if holder is not None:
            if not dying:
                self._start(holder, place, now, from_inside=False)
            return holder.source
        if self.nat.unsolicited is Unsolicited.ACCEPT:
            # The gateway is the packet's destination, so it dies of no TTL here.
            self._start(None, place, now, from_inside=False)
        return None

    def hairpin(self, source: Address, destination: Address, now: float) -> tuple[Address, Address] | None:
        """Return source and destination of a packet from inside to our outside address, as the receiver sees them.

        None when this NAT does not turn packets around, or nobody holds that port.
        """
        if self.nat.hairpin is Hairpin.NONE or not self._udp:
            return None
        turned = self._turned.get((source, destination))
        if turned is None or turned.flow.expires <= now:
            turned = self._turn(source, destination, now)
        self._renew(turned.flow, now, from_inside=turned.forward)
        return turned.ends

    def forget(self) -> None:
        """Lose all mappings and flows, as after a restart."""
        self._mappings.clear()
        self._holders.clear()
        self._flows.clear()
        self._leaving.clear()
        self._turned.clear()

    # ---------------------------------------------------------------------------------------------------- the table

    def _open(self, source: Address, destination: Address, now: float) -> tuple[_Mapping, _Flow, Address] | None:
        """Start a new flow from inside."""
        mapping = self._mapping_for(source, destination, now)
        port = self._port_towards(mapping, destination, now)
        if port is None:
            return None
        self._hold(mapping, port, now)
        flow = self._flows.get((port, destination))
        if flow is None or flow.expires <= now:
            flow = self._start(mapping, (port, destination), now, from_inside=True)
        known = self._leaving[source, destination] = (mapping, flow, Address(self.address, port))
        return known

    def _mapping_for(self, source: Address, destination: Address, now: float) -> _Mapping:
        key = mapping_key(self.nat.mapping, source, destination)
        mapping = self._mappings.get(key)
        if mapping is None or mapping.expires <= now:
            mapping = _Mapping(source, self._choose(source), now + self._unreplied)
            self._mappings[key] = mapping
        return mapping

    def _hold(self, mapping: _Mapping, port: int, now: float) -> None:
        """Note that a mapping leaves from a port."""
        # Later flows follow the latest one, as Linux lets them (find_appropriate_src).
        mapping.port = port
        held = mapping.source.port if self._preserves else port
        holder = self._holders.get(held)
        if holder is None or holder.expires <= now:
            self._holders[held] = mapping

    def _turn(self, source: Address, destination: Address, now: float) -> _Turned:
        """Start a flow between two inside endpoints, and what its answers belong to."""
        holder = self._holders.get(destination.port)
        if holder is None or holder.expires <= now:
            turned = self._turned[source, destination] = _Turned(_Flow(None, now, from_inside=True), None, forward=True)
            return turned
        mapping = self._mapping_for(source, destination, now)
        mapping.expires = max(mapping.expires, now + (self._beyond or self._unreplied))
        flow = _Flow(mapping, now, from_inside=True)
        shown = source
        if self.nat.hairpin is Hairpin.EXTERNAL_SOURCE:
            shown = self._shown_to(holder.source, mapping, now)
            self._turned[holder.source, shown] = _Turned(flow, (destination, source), forward=False)
        self._hold(mapping, shown.port, now)
        turned = self._turned[source, destination] = _Turned(flow, (shown, holder.source), forward=True)
        return turned

    def _shown_to(self, target: Address, mapping: _Mapping, now: float) -> Address:
        """Return the outside address under which an inside endpoint appears to another one."""
        ports = itertools.chain([mapping.port, mapping.source.port], (self._draw() for _ in range(MAX_TRIES)))
        ends = (Address(self.address, port) for port in ports)
        free = (end for end in ends if (known := self._turned.get((target, end))) is None or known.flow.expires <= now)
        return next(free, Address(self.address, mapping.port))

    def _start(self, mapping: _Mapping | None, place: tuple[int, Address], now: float, *, from_inside: bool) -> _Flow:
        flow = self._flows[place] = _Flow(mapping, now, from_inside=from_inside)
        flow.expires = now + self._unreplied
        if mapping is not None and not from_inside:
            # What the inside host answers belongs to the same flow.
            self._leaving[mapping.source, place[1]] = (mapping, flow, Address(self.address, place[0]))
        self._since_sweep += 1
        if self._since_sweep > SWEEP_AFTER:
            self._sweep(now)
        return flow

    def _renew(self, flow: _Flow, now: float, *, from_inside: bool) -> None:
        assured = flow.replied and now > flow.began + ASSURED_AFTER
        flow.expires = now + (self._assured if assured else self._unreplied)
        # The first packet of the other direction does not count yet.
        if from_inside is not flow.from_inside:
            flow.replied = True
        if flow.mapping is not None and flow.mapping.expires < flow.expires:
            flow.mapping.expires = flow.expires

    def _remember(self, mapping: _Mapping, flow: _Flow, destination: Address, now: float) -> None:
        """Note that the inside endpoint sent to this destination."""
        until = flow.expires if self._beyond is None else now + self._beyond
        mapping.expires = max(mapping.expires, flow.expires, until)
        if self._remembers:
            mapping.permits[filter_key(self.nat.filtering, destination)] = until

    def _admitting(self, port: int, remote: Address, now: float) -> _Mapping | None:
        """Return the mapping that lets a remote end in which has no flow yet."""
        holder = self._holders.get(port)
        if holder is None or holder.expires <= now:
            return None
        until = holder.permits.get(filter_key(self.nat.filtering, remote))
        return holder if until is not None and until > now else None

    # -------------------------------------------------------------------------------------------------------- ports

    def _port_towards(self, mapping: _Mapping, destination: Address, now: float) -> int | None:
        """Return the mapping's port, or another one if somebody else uses that port: with this remote end, or at all.

        None when no port is left.
        """
        if self._is_free(mapping.port, mapping, destination, now):
            return mapping.port
        wanted = [self._choose(mapping.source)] if self._preserves else []
        tries = itertools.chain(wanted, (self._draw() for _ in range(MAX_TRIES)))
        return next((port for port in tries if self._is_free(port, mapping, destination, now)), None)

    def _is_free(self, port: int, mapping: _Mapping, destination: Address, now: float) -> bool:
        flow = self._flows.get((port, destination))
        if flow is not None and flow.expires > now and flow.mapping is not mapping:
            return False
        holder = self._holders.get(port)
        return self.nat.shares_ports or holder is None or holder.expires <= now or holder.source == mapping.source

    def _draw(self) -> int:
        return self._random.randint(self.nat.allocation.low, self.nat.allocation.high)

    def _next(self) -> int:
        allocation = self.nat.allocation
        place = self._counter % (1 + (allocation.size - 1) // allocation.step)
        self._counter += 1
        return allocation.low + place * allocation.step

    def _sweep(self, now: float) -> None:
        self._since_sweep = 0
        self._flows = {place: flow for place, flow in self._flows.items() if flow.expires > now}
        self._leaving = {ends: known for ends, known in self._leaving.items() if known[1].expires > now}
        self._turned = {ends: turned for ends, turned in self._turned.items() if turned.flow.expires > now}
        self._mappings = {key: mapping for key, mapping in self._mappings.items() if mapping.expires > now}
        self._holders = {port: mapping for port, mapping in self._holders.items() if mapping.expires > now}
        for mapping in self._mappings.values():
            mapping.permits = {key: until for key, until in mapping.permits.items() if until > now}


def _chooser(allocation: Allocation, draw: Callable[[], int], following: Callable[[], int]) -> Callable[[Address], int]:
    """Return how the port of a new mapping is chosen for an inside address."""
    match allocation.assignment:
        case Assignment.PRESERVE:
            return lambda source: source.port
        case Assignment.SEQUENTIAL:
            return lambda _source: following()
        case Assignment.REMAP | Assignment.RANDOM | Assignment.BLOCK:
            return lambda _source: draw()
