"""A NAT as independent choices, in the words of RFC 4787."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

LOWEST_PORT: Final = 1024
HIGHEST_PORT: Final = 65_535
"""The ports from which Linux picks a replacement for a port of 1024 or more (nf_nat_core.c)."""

ASSURED_AFTER: Final = 2.0
"""Seconds after its first packet from which Linux lets a replied flow live longer (nf_conntrack_proto_udp.c)."""


class Dependence(enum.StrEnum):
    """What a mapping (RFC 4787, section 4.1) or a filter (section 5) takes the remote end to be."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"

    @property
    def rank(self) -> int:
        """Return 0 for the most open kind and 2 for the closest one."""
        return list(Dependence).index(self)


class Assignment(enum.StrEnum):
    """How the port of a new mapping is chosen (RFC 4787, section 4.2)."""

    PRESERVE = "preserve"
    """The inside port, as long as it is free."""
    REMAP = "remap"
    """Another port out of a range."""
    SEQUENTIAL = "sequential"
    """The port after the last one, a fixed step away."""
    RANDOM = "random"
    """Any port."""
    BLOCK = "block"
    """Any port of a small block that the subscriber was given (RFC 7422)."""


class Hairpin(enum.StrEnum):
    """Whether two inside hosts reach one another by their outside addresses (RFC 4787, section 6)."""

    NONE = "none"
    EXTERNAL_SOURCE = "external-source"
    """The receiver sees the sender's outside address, as RFC 4787 asks."""
    INTERNAL_SOURCE = "internal-source"
    """The receiver sees the sender's inside address, and most programs refuse the packet."""


class Unsolicited(enum.StrEnum):
    """What the gateway itself does with a packet that belongs to no mapping."""

    DROP = "drop"
    """Drop it in silence; it leaves no trace."""
    ACCEPT = "accept"
    """Take it for itself and say that the port is closed. The packet then holds that port for its sender: an
    inside host that later sends to this sender gets another port (the gateway is poisoned)."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """How ports are chosen, and out of which."""

    assignment: Assignment = Assignment.PRESERVE
    low: int = LOWEST_PORT
    high: int = HIGHEST_PORT
    """The range from which the replacements come; both ends belong to it."""
    step: int = 1
    """From one sequential port to the next."""

    def __post_init__(self) -> None:
        if not 1 <= self.low <= self.high <= HIGHEST_PORT:
            raise ValueError(f"no range of ports: {self.low}-{self.high}")
        if not 1 <= self.step <= self.size:
            raise ValueError(f"a step of {self.step} does not fit into {self.low}-{self.high}")

    @property
    def size(self) -> int:
        """Return how many ports the range has."""
        return self.high - self.low + 1

    def __str__(self) -> str:
        match self.assignment:
            case Assignment.PRESERVE | Assignment.RANDOM:
                return str(self.assignment)
            case Assignment.SEQUENTIAL:
                return f"sequential +{self.step} in {self.low}-{self.high}"
            case _:
                return f"{self.assignment} {self.low}-{self.high}"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """Seconds until an idle mapping is forgotten (RFC 4787, section 4.3); the defaults are those of Linux.

    A flow is one inside endpoint with one remote endpoint; packets of either direction renew it.
    """

    unreplied: float = 30.0
    """Of a flow with packets of one direction only, or in its first two seconds."""
    assured: float = 120.0
    """Of a flow with packets of both directions, the last one at least two seconds after the first."""
    endpoint: float | None = None
    """For which the gateway remembers an inside endpoint, and to whom it spoke, beyond its flows; only packets
    from inside renew it. None: not beyond its flows."""

    def __post_init__(self) -> None:
        if min(self.unreplied, self.assured, 1.0 if self.endpoint is None else self.endpoint) <= 0:
            raise ValueError("a lifetime is longer than 0 s")


CONE_LIFETIME: Final = Lifetime(endpoint=300.0)
"""Five minutes without a packet from inside, the default that RFC 4787 recommends (REQ-5)."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the gateway passes at all."""

    udp: bool = True
    tcp_ports: tuple[int, ...] | None = None
    """The only TCP ports that may be called from inside; None for all."""

    def tcp(self, port: int) -> bool:
        """Tell whether a TCP connection to this port may leave."""
        return self.tcp_ports is None or port in self.tcp_ports


@dataclass(frozen=True, slots=True)
class Nat:
    """One gateway's behaviour."""

    mapping: Dependence
    filtering: Dependence
    allocation: Allocation = field(default_factory=Allocation)
    hairpin: Hairpin = Hairpin.NONE
    lifetime: Lifetime = field(default_factory=Lifetime)
    unsolicited: Unsolicited = Unsolicited.DROP
    traffic: Traffic = field(default_factory=Traffic)
    shares_ports: bool = True
    """Two inside endpoints may hold one outside port as long as they talk to different remote ends; Linux does
    this (port overloading, RFC 4787 section 4.2.1). Otherwise the port belongs to who came first."""
    translates: bool = True
    """False: a plain router. The hosts behind it have public addresses, and the other choices mean nothing."""


PLAIN_ROUTER: Final = Nat(Dependence.ENDPOINT_INDEPENDENT, Dependence.ENDPOINT_INDEPENDENT, translates=False)
"""No NAT and no firewall: what everybody had once and what IPv6 can be again."""
