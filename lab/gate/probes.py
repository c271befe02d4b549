"""Our own probes of what passes, of mappings, filters and ports."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from clawchat.values.address import Address
from lab.gate.claims import Claim
from lab.gate.ground import ARRIVAL, SILENCE, Kit, heard_from, reaches
from lab.gate.probe import ECHO, FILTER, Probe
from lab.model.nat import Allocation, Assignment, Dependence

TCP_PORTS: Final = (443, 80)
"""What every network passes, and what nearly every one does."""

SAMPLES: Final = 8
"""Ports from which an allocation is recognised; eight random ones look like a row once in millions of tries."""

RANDOM_SPREAD: Final = 4096
"""Eight random ports of 64,512 lie closer together than this once in thirty million tries."""

CROWD: Final = 16
"""Sequential ports that other probes of the same moment may take between two of ours."""

_APD: Final = Dependence.ADDRESS_AND_PORT_DEPENDENT


# ------------------------------------------------------------------------------------------------------ what passes


def claimed_udp(claim: Claim) -> str:
    """Say whether UDP passes."""
    return "passes" if claim.udp else "blocked"


async def udp(kit: Kit) -> str:
    """Send a datagram out and its answer back."""
    near, far = kit.inside(), kit.outside(ECHO)
    outside = await heard_from(near, far, patience=ARRIVAL if kit.claim.udp else SILENCE)
    if outside is None:
        return "blocked"
    return "passes" if await reaches(far, outside, near) else "passes outward only"


def claimed_tcp(claim: Claim) -> str:
    """Say which TCP ports pass."""
    return _tcp_words([port for port in TCP_PORTS if claim.tcp(port)])


async def tcp(kit: Kit) -> str:
    """Open connections to a public host."""
    host = kit.ground.plan.hosts[ECHO].addresses[0]
    return _tcp_words([port for port in TCP_PORTS if await kit.ground.connects(kit.suspect.peer, Address(host, port))])


def _tcp_words(ports: Sequence[int]) -> str:
    return " and ".join(map(str, ports)) or "none"


# ------------------------------------------------------------------------------------------------ mapping and filter


def claimed_mapping(claim: Claim) -> str | None:
    """Say on what the mapping depends."""
    return claim.mapping if claim.udp else None


async def mapping(kit: Kit) -> str:
    """Send from one port to an address, to another port there and to another address (RFC 5780, section 4.3)."""
    near = kit.inside()
    first = await heard_from(near, kit.outside(ECHO, 0))
    other_port = await heard_from(near, kit.outside(ECHO, 0))
    other_address = await heard_from(near, kit.outside(ECHO, 1))
    if first is None or other_port is None or other_address is None:
        return "no answer"
    if first == other_port == other_address:
        return Dependence.ENDPOINT_INDEPENDENT
    return Dependence.ADDRESS_DEPENDENT if first == other_port else _APD


def claimed_filtering(claim: Claim) -> str | None:
    """Say on what the filter depends."""
    return claim.filtering if claim.udp else None


async def filtering(kit: Kit) -> str:
    """Send to one address and hear from another port there and from another address (RFC 5780, section 4.4)."""
    near, far = kit.inside(), kit.outside(FILTER, 0)
    outside = await heard_from(near, far)
    if outside is None or not await reaches(far, outside, near):
        return "no answer"
    same_address = await reaches(kit.outside(FILTER, 0), outside, near)
    other_address = await reaches(kit.outside(FILTER, 1), outside, near)
    match same_address, other_address:
        case True, True:
            return Dependence.ENDPOINT_INDEPENDENT
        case True, False:
            return Dependence.ADDRESS_DEPENDENT
        case False, False:
            return _APD
        case _:
            return "lets in strangers only"


# --------------------------------------------------------------------------------------------------------- ports


def claimed_ports(claim: Claim) -> str | None:
    """Say how outside ports are chosen."""
    return str(claim.allocation) if claim.udp else None


async def ports(kit: Kit) -> str:
    """Open several mappings in a row and look at their ports."""
    pairs = []
    # To a remote port each: a rule set that hashes ports may give two flows one port, which one remote end forbids.
    for near, far in [(kit.inside(), kit.outside(ECHO)) for _ in range(SAMPLES)]:
        outside = await heard_from(near, far)
        if outside is None:
            return "no answer"
        pairs.append((near.address.port, outside.port))
    allocation = kit.claim.allocation
    return str(allocation) if fits(pairs, allocation) else describe(pairs)


def fits(pairs: Sequence[tuple[int, int]], allocation: Allocation) -> bool:
    """Tell whether inside and outside ports, in the order of their making, come from such an allocation."""
    outer = [outside for _, outside in pairs]
    kept = sum(inside == outside for inside, outside in pairs)
    pooled = all(allocation.low <= port <= allocation.high for port in outer)
    match allocation.assignment:
        case Assignment.PRESERVE:
            return kept == len(pairs)
        case Assignment.SEQUENTIAL:
            row = 1 + (allocation.size - 1) // allocation.step
            places = [(port - allocation.low) // allocation.step for port in outer]
            steps = [(after - before) % row for before, after in pairwise(places)]
            straight = all((port - allocation.low) % allocation.step == 0 for port in outer)
            return pooled and straight and all(0 < step <= CROWD for step in steps)
        case Assignment.RANDOM:
            return pooled and kept < len(pairs) // 2 and max(outer) - min(outer) >= RANDOM_SPREAD
        case Assignment.REMAP | Assignment.BLOCK:
            steps = [after - before for before, after in pairwise(outer)]
            return pooled and not kept and len(set(steps)) > 1


def describe(pairs: Sequence[tuple[int, int]]) -> str:
    """Return in words what the ports of an unexpected allocation look like."""
    outer = [outside for _, outside in pairs]
    if all(inside == outside for inside, outside in pairs):
        return str(Assignment.PRESERVE)
    steps = {after - before for before, after in pairwise(outer)}
    if len(steps) == 1:
        return f"steps of {steps.pop()} from {outer[0]}"
    return f"ports between {min(outer)} and {max(outer)}"


PROBES: Final = (
    Probe("udp", claimed_udp, udp),
    Probe("tcp", claimed_tcp, tcp),
    Probe("mapping", claimed_mapping, mapping),
    Probe("filtering", claimed_filtering, filtering),
    Probe("ports", claimed_ports, ports),
)
