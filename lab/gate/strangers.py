"""Our own probes of what strangers, neighbours and dying packets meet: what the usual tools cannot see."""

from __future__ import annotations

from typing import Final

from clawchat.values.address import Address
from lab.gate.claims import Claim
from lab.gate.ground import SILENCE, Kit, Socket, heard_from, reaches
from lab.gate.probe import CLASH, ECHO, PRIME, STRANGER, Probe
from lab.model.nat import Dependence, Hairpin, Unsolicited

# ----------------------------------------------------------------------------------------------------- strangers


def _unsolicited_words(claim: Claim) -> str:
    return "silent" if claim.unsolicited is Unsolicited.DROP else "refused"


def claimed_before(claim: Claim) -> str:
    """Say what becomes of a stranger's packet when nobody inside has sent anything yet."""
    return _unsolicited_words(claim) if claim.nats else "delivered"


async def before(kit: Kit) -> str:
    """Let a stranger send to a port that nobody has used."""
    near = kit.inside()
    return await _fate(kit.outside(STRANGER), Address(kit.wan, near.address.port), near)


def claimed_unmapped(claim: Claim) -> str | None:
    """Say what becomes of a stranger's packet to a port without a mapping, while other ports have one."""
    if not claim.udp:
        return None
    opens = claim.opens_host and claim.filtering is Dependence.ENDPOINT_INDEPENDENT
    return "delivered" if opens else claimed_before(claim)


async def unmapped(kit: Kit) -> str:
    """Open a mapping, then let a stranger send to another port."""
    if await heard_from(kit.inside(), kit.outside(ECHO)) is None:
        return "no answer"
    return await before(kit)


async def _fate(stranger: Socket, to: Address, near: Socket) -> str:
    """Send a stranger's packet and return what became of it."""
    if await reaches(stranger, to, near):
        return "delivered"
    return "refused" if await stranger.refused(0) else "silent"


# ---------------------------------------------------------------------------------------------------- neighbours


def claimed_hairpin(claim: Claim) -> str | None:
    """Say whether neighbours reach one another by outside addresses."""
    return claim.hairpin if claim.udp and claim.nats else None


async def hairpin(kit: Kit) -> str:
    """Let one machine send to the outside address of its neighbour's mapping."""
    near, mate = kit.inside(), kit.mate()
    outside = await heard_from(near, kit.outside(ECHO))
    if outside is None:
        return "no answer"
    mate.send(b"turn", outside)
    arrival = await near.receive(SILENCE)
    if arrival is None:
        return Hairpin.NONE
    return Hairpin.EXTERNAL_SOURCE if arrival.source.host == kit.wan else Hairpin.INTERNAL_SOURCE


def claimed_sharing(claim: Claim) -> str | None:
    """Say what becomes of two machines that use the same inside port."""
    if not (claim.udp and claim.nats):
        return None
    if not claim.preserves:
        return "kept apart"
    return "kept apart, one port for two" if claim.shares_ports else "kept apart, a port each"


async def sharing(kit: Kit) -> str:
    """Let two machines send from the same port to one remote end, then to two."""
    port = kit.port()
    near, mate, far = kit.inside(port), kit.mate(port), kit.outside(ECHO)
    one, other = await heard_from(near, far), await heard_from(mate, far)
    if one is None or other is None:
        return "no answer"
    if one == other or not (await reaches(far, one, near) and await reaches(far, other, mate)):
        return "mixed up"
    if not kit.claim.preserves:
        return "kept apart"
    port = kit.port()
    one = await heard_from(kit.inside(port), kit.outside(ECHO, 0))
    other = await heard_from(kit.mate(port), kit.outside(ECHO, 1))
    return "kept apart, one port for two" if one == other else "kept apart, a port each"


# ------------------------------------------------------------------------------------------------------------ TTL


def claimed_hops(claim: Claim) -> str | None:
    """Say the smallest TTL that reaches a public host."""
    return str(claim.hops) if claim.udp else None


async def hops(kit: Kit) -> str:
    """Send datagrams of every TTL and look which ones arrive."""
    near, far = kit.inside(), kit.outside(ECHO)
    for ttl in range(1, kit.claim.hops + 2):
        near.send(b"%d" % ttl, far.address, ttl=ttl)
    arrived: list[int] = []
    while len(arrived) < 2 and (arrival := await far.receive(SILENCE)):
        arrived.append(int(arrival.payload))
    return str(min(arrived)) if arrived else "none arrives"


def claimed_prime(claim: Claim) -> str | None:
    """Say with which TTL a packet that never arrives opens the way for an answer."""
    closed = claim.filtering is not Dependence.ENDPOINT_INDEPENDENT
    foreseeable = claim.mapping is Dependence.ENDPOINT_INDEPENDENT
    return f"opens from TTL {len(claim.layers) + 1}" if claim.udp and closed and foreseeable else None


async def prime(kit: Kit) -> str:
    """Send a packet that dies at the outermost gateway, and one that dies at the router behind it."""
    # Each time at another address, since a filter may open for a whole address.
    for place, ttl in enumerate((len(kit.claim.layers), len(kit.claim.layers) + 1)):
        near, far = kit.inside(), kit.outside(PRIME, place)
        outside = await heard_from(near, kit.outside(ECHO))
        if outside is None:
            return "no answer"
        near.send(b"prime", far.address, ttl=ttl)
        if await far.receive(SILENCE / 5):
            return f"TTL {ttl} arrives"
        if await reaches(far, outside, near):
            return f"opens from TTL {ttl}"
    return "opens nothing"


def claimed_silence(claim: Claim) -> str | None:
    """Say what a remote end learns whose packet the filter refuses."""
    if not claim.udp or claim.filtering is Dependence.ENDPOINT_INDEPENDENT:
        return None
    return _unsolicited_words(claim)


async def silence(kit: Kit) -> str:
    """Send to a mapping from an address that it does not admit, and listen for ICMP."""
    near = kit.inside()
    outside = await heard_from(near, kit.outside(ECHO))
    if outside is None:
        return "no answer"
    return await _fate(kit.outside(STRANGER), outside, near)


def claimed_clash(claim: Claim) -> str | None:
    """Say whether an early packet of the peer moves a mapping; only foreseeable ports can be asked."""
    if not (claim.udp and claim.preserves):
        return None
    return "keeps its port" if claim.unsolicited is Unsolicited.DROP else "moves"


async def clash(kit: Kit) -> str:
    """Let the remote end send first, to the port that the mapping is going to have."""
    near, far = kit.inside(), kit.outside(CLASH)
    port = near.address.port
    far.send(b"early", Address(kit.wan, port))
    await far.refused(SILENCE / 5)
    outside = await heard_from(near, far)
    if outside is None:
        return "no answer"
    return "keeps its port" if outside.port == port else "moves"


PROBES: Final = (
    Probe("before", claimed_before, before, first=True),
    Probe("unmapped", claimed_unmapped, unmapped),
    Probe("silence", claimed_silence, silence),
    Probe("clash", claimed_clash, clash),
    Probe("hairpin", claimed_hairpin, hairpin),
    Probe("sharing", claimed_sharing, sharing),
    Probe("hops", claimed_hops, hops),
    Probe("prime", claimed_prime, prime),
)
