"""Devices, addresses and routes of a plan, as `ip` commands; pure.

    host ── wan ──────── hN ── router ── gN ──────── wan ── gateway ── lan ──────── eth0 ── peer
                                                                    └─ lanN … when several stand on one inside

Everything next to the router has a /32 address and sends all it has to the router: there is no common segment, so a
packet from one gateway to another always crosses a hop that counts its TTL down.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from lab.model.link import CLEAN, Link
from lab.model.plan import PREFIX, ROUTER_EDGE, ROUTER_HOST, Plan, PlannedGateway
from lab.model.topology import ROUTER

WAN: Final = "wan"
LAN: Final = "lan"
"""The rule sets know these two devices by name."""

PEER_DEVICE: Final = "eth0"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cable."""

    node: str
    device: str


@dataclass(frozen=True, slots=True)
class Cable:
    """Two ends and what lies between them; the far end of an impaired cable is the router's."""

    near: End
    far: End
    link: Link = CLEAN


@dataclass(slots=True)
class Cabling:
    """What has to be made: namespaces, cables, and the commands to run in each namespace once its cables are there."""

    nodes: list[str]
    cables: list[Cable] = field(default_factory=list)
    commands: dict[str, list[str]] = field(default_factory=dict)


def cabling(plan: Plan, *, segments: bool = False) -> Cabling:
    """Return how the machines of a plan are joined.

    With `segments` all cables that end in one device are one network that several machines can be plugged into.
    """
    made = Cabling([ROUTER, *plan.hosts, *plan.gateways, *plan.peers])
    made.commands = {node: ["link set lo up"] for node in made.nodes}
    for number, host in enumerate(plan.hosts.values(), 1):
        port = f"h{number}"
        made.cables.append(Cable(End(host.name, WAN), End(ROUTER, port), host.link))
        made.commands[host.name] += [
            *(f"address add {address}/32 dev {WAN}" for address in host.addresses),
            f"link set {WAN} up",
            f"route add default via {ROUTER_HOST} dev {WAN} onlink src {host.addresses[0]}",
        ]
        made.commands[ROUTER] += [
            f"address add {ROUTER_HOST}/32 dev {port}",
            f"link set {port} up",
            *(f"route add {address}/32 dev {port}" for address in host.addresses),
        ]
    edges = 0
    for gateway in plan.gateways.values():
        if gateway.behind is None:
            edges += 1
            _join_router(made, gateway, f"g{edges}")
        _lay_inside(made, plan, gateway, segments=segments)
    return made


def _join_router(made: Cabling, gateway: PlannedGateway, port: str) -> None:
    made.cables.append(Cable(End(gateway.name, WAN), End(ROUTER, port), gateway.link))
    made.commands[gateway.name] += [
        f"address add {gateway.wan}/32 dev {WAN}",
        f"link set {WAN} up",
        f"route add default via {gateway.next_hop} dev {WAN} onlink",
    ]
    made.commands[ROUTER] += [
        f"address add {ROUTER_EDGE}/32 dev {port}",
        f"link set {port} up",
        f"route add {gateway.wan}/32 dev {port}",
        *(f"route add {address}/32 via {gateway.wan} dev {port} onlink" for address in gateway.delegated),
    ]


def _lay_inside(made: Cabling, plan: Plan, gateway: PlannedGateway, *, segments: bool) -> None:
    """Join a gateway with all that stands on its inside."""
    peers = [one for one in plan.peers.values() if one.gateway == gateway.name]
    inner = [one for one in plan.gateways.values() if one.behind == gateway.name]
    members = [(one.name, PEER_DEVICE, one.address) for one in peers] + [(one.name, WAN, one.wan) for one in inner]
    if not members:
        return
    commands = made.commands[gateway.name]
    if segments or len(members) == 1:
        ports = [LAN] * len(members)
    else:
        # One device has to be called lan, so several cables end in a bridge of that name.
        ports = [f"{LAN}{number}" for number in range(1, len(members) + 1)]
        commands.append(f"link add {LAN} type bridge")
        commands += [f"link set {port} master {LAN} up" for port in ports]
    for (name, device, address), port in zip(members, ports, strict=True):
        made.cables.append(Cable(End(name, device), End(gateway.name, port)))
        # Behind a plain router every host has a public address of its own, and no network around it.
        bits = PREFIX if gateway.nat.translates else 32
        made.commands[name] += [
            f"address add {address}/{bits} dev {device}",
            f"link set {device} up",
            f"route add default via {gateway.lan} dev {device} onlink",
        ]
    commands += [
        f"address add {gateway.lan}/{PREFIX if gateway.nat.translates else 32} dev {LAN}",
        f"link set {LAN} up",
    ]
    if not gateway.nat.translates:
        commands += [f"route add {address}/32 dev {LAN}" for _, _, address in members]
    commands += [f"route add {address}/32 via {one.wan} dev {LAN} onlink" for one in inner for address in one.delegated]
