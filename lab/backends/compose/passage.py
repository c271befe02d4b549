"""Proof that all traffic of a laboratory of containers passes its gateways.

At the start packets show it: what a peer sends to a public host comes from its gateway's address, and dies on its way
when its time to live is one hop short. From then on the router counts what comes from each gateway, and drops and
counts what comes from a gateway's cable and has not got that gateway's address.
"""

from __future__ import annotations

import json
import secrets
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from lab.backends.machine import World
from lab.backends.netns.cabling import Cabling
from lab.model.plan import Plan, PlannedPeer
from lab.model.topology import ROUTER
from lab.netns import NamespaceError

TABLE: Final = "watch"
ASTRAY: Final = "astray"
"""The counter of what did not come through its gateway."""

PORT: Final = 9
"""The port to which a public host is sent something (discard, RFC 863)."""

PATIENCE: Final = 3.0
"""Seconds until everything that was sent has arrived."""


class BypassError(NamespaceError):
    """A packet came to the internet of the laboratory by another way than its gateway."""


def watch_rules(plan: Plan, cabling: Cabling) -> str:
    """Return the rules with which the router counts who sends, and keeps out what did not pass a gateway."""
    counters, lines = [f"  counter {ASTRAY} {{\n  }}"], []
    for cable in cabling.cables:
        near, far = cable.near, cable.far
        if far.node != ROUTER:
            continue
        if near.node in plan.gateways:
            gateway = plan.gateways[near.node]
            own: Sequence[str] = (gateway.wan, *gateway.delegated)
        else:
            own = plan.hosts[near.node].addresses
        counters.append(f"  counter {_counter(near.node)} {{\n  }}")
        lines += [
            f'    iifname "{far.device}" ip saddr != {{ {", ".join(own)} }} counter name "{ASTRAY}" drop',
            f'    iifname "{far.device}" counter name "{_counter(near.node)}"',
        ]
    chain = ["  chain forward {", "    type filter hook forward priority -30; policy accept;", *lines, "  }"]
    return "\n".join([f"table ip {TABLE} {{", *counters, *chain, "}", ""])


def _counter(node: str) -> str:
    return f"from_{node.replace('-', '_')}"


@dataclass(frozen=True, slots=True)
class Counts:
    """What the router has counted."""

    passed: dict[str, int]
    """Packets by the gateway or host that they came from."""
    astray: int


def read_counts(plan: Plan, listed: str) -> Counts:
    """Read what `nft -j list counters` says."""
    found: dict[str, Any] = {
        item["counter"]["name"]: item["counter"]["packets"]
        for item in json.loads(listed)["nftables"]
        if "counter" in item
    }
    nodes = [*plan.gateways, *plan.hosts]
    passed = {node: int(found[_counter(node)]) for node in nodes if _counter(node) in found}
    return Counts(passed, int(found[ASTRAY]))


def check_counts(counts: Counts) -> None:
    """Raise BypassError if anything came round its gateway."""
    if counts.astray:
        raise BypassError(f"{counts.astray} packets came to the router with an address that is not their gateway's")


@dataclass(slots=True)
class _Try:
    """One peer sends two packets to a public host: one that arrives, and one that is a hop short of it."""

    peer: PlannedPeer
    expected: str | None
    """The address that it has to come from; None when no UDP passes."""
    arriving: bytes
    dying: bytes


def check_ways(world: World) -> None:
    """Raise BypassError unless every peer reaches the internet through its gateway, and in as many hops as planned."""
    plan = world.plan
    host = next(iter(plan.hosts.values()), None)
    if host is None:
        return
    tries = [_planned_try(plan, peer) for peer in plan.peers.values()]
    with world.machine(host.name).socket(socket.SOCK_DGRAM) as far:
        far.bind((host.addresses[0], PORT))
        for each in tries:
            with world.machine(each.peer.name).socket(socket.SOCK_DGRAM) as near:
                hops = len(plan.layers(each.peer.gateway)) + 2
                for payload, ttl in ((each.dying, hops - 1), (each.arriving, hops)):
                    near.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
                    near.sendto(payload, (host.addresses[0], PORT))
        wanted = {each.arriving for each in tries if each.expected is not None}
        came = _received(far, wanted)
    for each in tries:
        if each.dying in came:
            raise BypassError(f"{each.peer.name} reaches {host.name} in fewer hops than its gateways are")
        if came.get(each.arriving) != each.expected:
            met = came.get(each.arriving, "nowhere")
            raise BypassError(f"{each.peer.name} is seen at {met}, not behind its gateway at {each.expected}")


def _planned_try(plan: Plan, peer: PlannedPeer) -> _Try:
    nats = plan.nats(peer.gateway)
    layers = plan.layers(peer.gateway)
    seen = next((layer.wan for layer in reversed(layers) if layer.nat.translates), peer.address)
    passes = all(nat.traffic.udp for nat in nats)
    return _Try(peer, seen if passes else None, secrets.token_bytes(16), secrets.token_bytes(16))


def _received(far: socket.socket, wanted: set[bytes]) -> dict[bytes, str]:
    """Return what arrived and from which address, waiting until all that is wanted has come."""
    came: dict[bytes, str] = {}
    deadline = time.monotonic() + PATIENCE
    while wanted - came.keys() and select.select([far], [], [], max(deadline - time.monotonic(), 0))[0]:
        payload, (address, _) = far.recvfrom(64)
        came[payload] = address
    return came
