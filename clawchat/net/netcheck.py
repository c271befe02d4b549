"""Look at the network this machine is in: everything at once, and nobody is asked who was not named."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from clawchat.nat.depth import Depth, prime_ttl
from clawchat.nat.mapping import Dependence, Mapping, classify
from clawchat.nat.portmap.lease import Gateway, Lease
from clawchat.nat.scope import is_loopback, is_public
from clawchat.nat.verdict import MEANINGS, Findings, judge
from clawchat.net.interfaces import host_addresses
from clawchat.net.port_opening import open_port
from clawchat.net.portmap import PortMapping
from clawchat.net.stun import discover, measure_depth, resolve
from clawchat.net.user_events import NetCheck
from clawchat.values.address import Address

ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - peers may come through any network
ANY_IPV6: Final = "::"
MILLISECONDS: Final = 1000


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


def summarise(found: Look) -> NetCheck:
    """Judge what was found."""
    seen, lease = judged(found), found.lease
    mapping = seen.mapping
    reach = judge(
        Findings(
            hosts=found.hosts,
            asked=len(seen.answered) + len(seen.silent),
            mapping=mapping,
            filtering=seen.filtering,
            external=lease.external.host if lease is not None else None,
        )
    )
    hops = found.depth.hops if found.depth is not None else None
    return NetCheck(
        reach=reach.value,
        meaning=MEANINGS[reach],
        hosts=found.hosts,
        public=tuple(str(each) for each in _public(found)),
        ports=mapping.allocation.value if mapping is not None else "unknown",
        step=mapping.step if mapping is not None else 0,
        drift=round(mapping.drift, 3) if mapping is not None else 0.0,
        mapping=mapping.dependence.value if mapping is not None else "unknown",
        filtering=seen.filtering.value,
        ipv6=_ipv6(found),
        answered=tuple(dict.fromkeys((*seen.answered, *found.ipv6.answered))),
        silent=tuple(dict.fromkeys((*seen.silent, *found.ipv6.silent, *found.unresolved))),
        rtt_ms=None if seen.rtt is None else round(seen.rtt * MILLISECONDS, 3),
        gateway=found.gateway.address if found.gateway is not None else None,
        mapped=str(lease.external) if lease is not None else None,
        mapped_by=lease.protocol.value if lease is not None else None,
        not_mapped=found.refusals if lease is None else (),
        depth=hops,
        prime_ttl=None if hops is None else prime_ttl(hops),
    )


def judged(found: Look) -> Seen:
    """Return the IP version that is judged: IPv4, which has the NATs, unless only IPv6 works."""
    return found.ipv6 if found.ipv6.answered and not found.ipv4.answered else found.ipv4


def _public(found: Look) -> list[str]:
    return [host for seen in (found.ipv4, found.ipv6) if seen.mapping is not None for host in seen.mapping.public_hosts]


def _ipv6(found: Look) -> Literal["none", "untested", "direct", "translated", "blocked"]:
    if not any(":" in host and is_public(host) for host in found.hosts):
        return "none"
    seen = found.ipv6
    if seen.mapping is None:
        return "blocked" if seen.silent else "untested"
    return "direct" if seen.mapping.last.host in found.hosts else "translated"
