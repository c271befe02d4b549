"""A network to build: peers behind gateways, public hosts, and one router between them all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lab.model.link import CLEAN, Link
from lab.model.nat import Nat
from lab.model.presets import preset

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,23}")
"""Names become parts of namespace, container and device names, which are short and know no capitals."""

ROUTER: Final = "router"
"""The name of the hop between all gateways and hosts."""

MAX_GATEWAYS: Final = 200
MAX_HOSTS: Final = 100
MAX_HOST_ADDRESSES: Final = 4
MAX_PEERS: Final = 200
"""Together they fit the two public networks of the laboratory."""

DEFAULT_RULES: Final = "nft"

PREFERRED_RULES: Final = "iptables,nft"
"""The flavour that most people can read, and nft for what it cannot express."""


class TopologyError(ValueError):
    """A topology contradicts itself; `name` is the node at fault and `key` the word about it, when there is one."""

    def __init__(self, text: str, *, name: str = "", key: str = "") -> None:
        super().__init__(text)
        self.name = name
        self.key = key


@dataclass(frozen=True, slots=True)
class Gateway:
    """One NAT box."""

    name: str
    nat: Nat
    behind: str | None = None
    """The gateway on whose inside it stands; None: on the internet."""
    link: Link = CLEAN
    """The cable to the router."""
    rules: str = DEFAULT_RULES
    """Which rule set builds it: flavours (nft, iptables) in the order of preference, or the name of one rule set."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A machine behind a gateway."""

    name: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Host:
    """A public machine: a relay, a STUN server."""

    name: str
    addresses: int = 1
    link: Link = CLEAN


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything there is to build."""

    name: str
    gateways: tuple[Gateway, ...] = ()
    peers: tuple[Peer, ...] = ()
    hosts: tuple[Host, ...] = ()
    _by_name: Mapping[str, Gateway | Peer | Host] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        known: dict[str, Gateway | Peer | Host] = {}
        nodes: list[Gateway | Peer | Host] = [*self.gateways, *self.peers, *self.hosts]
        for node in nodes:
            if not NAME.fullmatch(node.name) or node.name == ROUTER:
                raise TopologyError(f"{node.name!r} is no name: a letter, then letters, digits or -", name=node.name)
            if node.name in known:
                raise TopologyError(f"two nodes are called {node.name!r}", name=node.name)
            known[node.name] = node
        object.__setattr__(self, "_by_name", known)
        for what, some, most in (
            ("gateways", len(self.gateways), MAX_GATEWAYS),
            ("peers", len(self.peers), MAX_PEERS),
            ("hosts", len(self.hosts), MAX_HOSTS),
        ):
            if some > most:
                raise TopologyError(f"{some} {what} are more than {most}")
        self._check_gateways()
        for peer in self.peers:
            self._gateway_of(peer.name, "gateway", peer.gateway)
        for host in self.hosts:
            if not 1 <= host.addresses <= MAX_HOST_ADDRESSES:
                raise TopologyError(f"a host has 1 to {MAX_HOST_ADDRESSES} addresses", name=host.name, key="addresses")

    def _check_gateways(self) -> None:
        for gateway in self.gateways:
            seen = {gateway.name}
            behind = gateway.behind
            while behind is not None:
                if behind in seen:
                    raise TopologyError(f"{gateway.name!r} stands behind itself", name=gateway.name, key="behind")
                seen.add(behind)
                behind = self._gateway_of(gateway.name, "behind", behind).behind
            if gateway.behind is not None and gateway.link != CLEAN:
                raise TopologyError(
                    "only the cable of a gateway next to the router can be impaired", name=gateway.name, key="link"
                )

    def _gateway_of(self, name: str, key: str, wanted: str) -> Gateway:
        found = self._by_name.get(wanted)
        if not isinstance(found, Gateway):
            raise TopologyError(f"{name!r}: no gateway is called {wanted!r}", name=name, key=key)
        return found

    def gateway(self, name: str) -> Gateway:
        """Return the gateway of this name. Raises TopologyError."""
        return self._gateway_of(self.name, "gateway", name)

    def layers(self, gateway: str) -> Iterator[Gateway]:
        """Go from a gateway outward to the one next to the router."""
        at: str | None = gateway
        while at is not None:
            found = self.gateway(at)
            yield found
            at = found.behind


def stacked(
    name: str, layers: Sequence[Nat], *, behind: str | None = None, link: Link = CLEAN, rules: str = DEFAULT_RULES
) -> tuple[Gateway, ...]:
    """Return the gateways of nested NATs, the innermost first and called `name`, the others `name-outer`, and so on.

    The link is the outermost one's.
    """
    names = [name + "-outer" * depth for depth in range(len(layers))]
    outward = [*names[1:], behind]
    links = [CLEAN] * (len(layers) - 1) + [link]
    return tuple(
        Gateway(one, nat, next_out, cable, rules)
        for one, nat, next_out, cable in zip(names, layers, outward, links, strict=True)
    )


def row(presets: Sequence[str], *, peers: int = 1, hosts: Sequence[Host] = (), rules: str = DEFAULT_RULES) -> Topology:
    """Return one gateway a preset, numbered, each with so many peers behind it, and these public hosts.

    The n-th gateway is called `gn` and its peers `gn-a`, `gn-b` and so on.
    """
    gateways: list[Gateway] = []
    inside: list[Peer] = []
    for number, name in enumerate(presets, 1):
        gateways += stacked(f"g{number}", preset(name).layers, rules=rules)
        inside += [Peer(f"g{number}-{chr(ord('a') + place)}", f"g{number}") for place in range(peers)]
    return Topology("row", tuple(gateways), tuple(inside), tuple(hosts))
