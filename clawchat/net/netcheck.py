"""Look at the network this machine is in: everything at once, and nobody is asked who was not named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clawchat.nat.depth import Depth
from clawchat.nat.mapping import Dependence, Mapping, classify
from clawchat.nat.portmap.lease import Gateway, Lease
from clawchat.nat.scope import is_loopback
from clawchat.net.interfaces import host_addresses
from clawchat.net.port_opening import open_port
from clawchat.net.portmap import PortMapping
from clawchat.net.stun import discover, measure_depth, resolve
from clawchat.values.address import Address

ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - peers may come through any network
ANY_IPV6: Final = "::"


@dataclass(frozen=True, slots=True)
class Seen:
    """What STUN servers of one IP version saw."""

    answered: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    mapping: Mapping | None = None
    filtering: Dependence = Dependence.UNKNOWN
    rtt: float | None = None
    """Seconds to the nearest server and back."""


@dataclass(frozen=True, slots=True)
class Look:
    """All that was found."""

    hosts: tuple[str, ...]
    ipv4: Seen
    ipv6: Seen
    unresolved: tuple[str, ...]
    """Servers whose names have no address."""

    gateway: Gateway | None = None
    lease: Lease | None = None
    refusals: tuple[str, ...] = ()
    depth: Depth | None = None


async def look(servers: Sequence[str], *, port_mapping: bool) -> Look:
    """Find out what can be known; takes three to four seconds with STUN servers. Raises PersonalError."""
    hosts = tuple(host_addresses())
    ipv4 = await resolve(servers, ipv6=False)
    ipv6 = await resolve(servers, ipv6=True) if any(":" in host for host in hosts) else {}
    wanted = port_mapping and not all(map(is_loopback, hosts))
    seen4, seen6, mapped = await asyncio.gather(_see(ipv4, ANY_IPV4), _see(ipv6, ANY_IPV6), _map(wanted=wanted))
    first = next((ipv4[name] for name in seen4.answered), None)
    return Look(
        hosts,
        seen4,
        seen6,
        tuple(name for name in servers if name not in ipv4 and name not in ipv6),
        *mapped,
        depth=await measure_depth(first, ANY_IPV4) if first is not None else None,
    )


async def _see(servers: dict[str, Address], host: str) -> Seen:
    """Ask servers of one IP version."""
    if not servers:
        return Seen()
    told = await discover(list(servers.values()), host)
    fast = [each.ended_at - each.asked_at for each in told.results if each.reply is not None and each.requests == 1]
    answered = {each.server for each in told.results if each.reply is not None and each.reply.mapped is not None}
    return Seen(
        answered=tuple(name for name, address in servers.items() if address in answered),
        silent=tuple(name for name, address in servers.items() if address not in answered),
        mapping=classify(told.observations),
        filtering=told.filtering,
        rtt=min(fast, default=None),
    )


async def _map(*, wanted: bool) -> tuple[Gateway | None, Lease | None, tuple[str, ...]]:
    """Map a port of our own for a moment, to see whether that can be done."""
    if not wanted:
        return None, None, ()
    port = open_port(0, Address(ANY_IPV4, 0), offload=False)
    mapping = PortMapping(port.address, watch=False)
    try:
        lease = await mapping.open()
        return mapping.gateway, lease, mapping.refusals
    finally:
        await mapping.close()
        port.close()
