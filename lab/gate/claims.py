"""What a stack of NATs promises to whoever stands behind it; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.model.nat import Allocation, Assignment, Dependence, Hairpin, Lifetime, Nat, Unsolicited


@dataclass(frozen=True, slots=True)
class Claim:
    """NATs from the inside out, seen as one."""

    layers: tuple[Nat, ...]
    opens_host: bool = False
    """What it lets in reaches every port of the first inside host, not only the ports that were used."""

    @property
    def nats(self) -> tuple[Nat, ...]:
        """Return the layers that translate."""
        return tuple(one for one in self.layers if one.translates)

    @property
    def hops(self) -> int:
        """Return the smallest TTL that carries a datagram to a public host: all gateways, the router, arrival."""
        return len(self.layers) + 2

    @property
    def udp(self) -> bool:
        """Tell whether UDP passes."""
        return all(one.traffic.udp for one in self.layers)

    def tcp(self, port: int) -> bool:
        """Tell whether TCP connections to this port pass."""
        return all(one.traffic.tcp(port) for one in self.layers)

    @property
    def mapping(self) -> Dependence:
        """Return the mapping of the whole: that of the most dependent layer."""
        return _closest(one.mapping for one in self.nats)

    @property
    def filtering(self) -> Dependence:
        """Return the filtering of the whole: that of the closest layer."""
        return _closest(one.filtering for one in self.nats)

    @property
    def allocation(self) -> Allocation:
        """Return how outside ports relate to inside ports: the outermost layer that does not preserve them says it."""
        for one in reversed(self.nats):
            if one.allocation.assignment is not Assignment.PRESERVE:
                return one.allocation
        return Allocation()

    @property
    def preserves(self) -> bool:
        """Tell whether outside ports are known beforehand."""
        return self.allocation.assignment is Assignment.PRESERVE

    @property
    def hairpin(self) -> Hairpin:
        """Return what becomes of packets between two inside hosts: the outermost layer turns them around, if any.

        The layers inside must then let the packet in, which comes from an address that nobody sent to.
        """
        if not self.nats:
            return Hairpin.NONE
        inner_open = all(one.filtering is Dependence.ENDPOINT_INDEPENDENT for one in self.nats[:-1])
        return self.nats[-1].hairpin if inner_open else Hairpin.NONE

    @property
    def unsolicited(self) -> Unsolicited:
        """Return what becomes of packets that belong to no mapping."""
        return self.nats[-1].unsolicited if self.nats else Unsolicited.DROP

    @property
    def shares_ports(self) -> bool:
        """Tell whether two neighbours may leave from one outside port."""
        return all(one.shares_ports for one in self.nats)

    def idle(self, *, assured: bool) -> float:
        """Return how many seconds without a packet a remote end may let pass and still get in."""
        return min((_idle(one, assured=assured) for one in self.nats), default=float("inf"))

    @property
    def remembered(self) -> float | None:
        """Return for how many seconds after its last packet outward an endpoint is open to further remote ends.

        None where no such remote end gets in, ever or because the filter is gone with the flow.
        """
        if self.filtering is Dependence.ADDRESS_AND_PORT_DEPENDENT:
            return None
        spans = [one.lifetime.endpoint for one in self.nats if one.lifetime.endpoint is not None]
        return min(spans, default=None)


def _idle(nat: Nat, *, assured: bool) -> float:
    lifetime: Lifetime = nat.lifetime
    flow = lifetime.assured if assured else lifetime.unreplied
    open_beyond = nat.filtering is not Dependence.ADDRESS_AND_PORT_DEPENDENT and lifetime.endpoint is not None
    return max(flow, lifetime.endpoint or 0.0) if open_beyond else flow


def _closest(kinds: Iterable[Dependence]) -> Dependence:
    return max(kinds, key=lambda one: one.rank, default=Dependence.ENDPOINT_INDEPENDENT)
