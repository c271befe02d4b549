"""What the network does, as checks: addresses, NAT, port mapping, IPv6, STUN servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from clawchat.nat.verdict import Reach
from clawchat.net.doctor.checks import failed, passed, skipped
from clawchat.net.user_events import Check, NetCheck

_NAME_STUN: Final = "Name two STUN servers under networking.stun_servers, or use two relays."
_HARD: Final = "Have a UDP port mapped at the router, or use a relay: `networking.relays` of the server."


def network_checks(event: NetCheck, *, port_mapping: bool) -> Iterator[Check]:
    """Judge what was seen of the network."""
    yield _addresses(event)
    yield _stun(event)
    yield _nat(event)
    yield _mapping(event, wanted=port_mapping)
    yield _ipv6(event)


def _addresses(event: NetCheck) -> Check:
    if event.reach == Reach.OFFLINE.value:
        return failed("addresses", "this machine has no address but its own", "Connect to a network.", "CC-NETWORK")
    return passed("addresses", ", ".join(event.hosts))


def _stun(event: NetCheck) -> Check:
    if not event.answered and not event.silent:
        return skipped("STUN", "no servers are named")
    if not event.answered:
        return failed(
            "STUN",
            f"no answer from {', '.join(event.silent)}",
            "This network may drop UDP: try another one; or the servers are down.",
            "CC-STUN-SILENT",
        )
    nearest = "" if event.rtt_ms is None else f", nearest {event.rtt_ms:.1f} ms"
    silent = f"; silent: {', '.join(event.silent)}" if event.silent else ""
    return passed("STUN", f"answered: {', '.join(event.answered)}{nearest}{silent}")


def _nat(event: NetCheck) -> Check:
    if event.reach == Reach.UNKNOWN.value:
        return skipped("NAT", "what it does can't be told from what was asked", _NAME_STUN)
    if event.reach in {Reach.BLOCKED.value, Reach.OFFLINE.value}:
        return skipped("NAT", "nothing came back that could tell")
    if event.reach == Reach.HARD.value and event.mapped is None:
        return failed("NAT", event.meaning, _HARD)
    return passed("NAT", event.meaning)


def _mapping(event: NetCheck, *, wanted: bool) -> Check:
    if event.mapped is not None:
        return passed("port mapping", f"works by {event.mapped_by}: {event.mapped}")
    if not wanted:
        return skipped("port mapping", "networking.port_mapping is off")
    why = "; ".join(event.not_mapped) or "not tried"
    if event.reach in {Reach.OPEN.value, Reach.FIREWALLED.value}:
        return skipped("port mapping", f"this machine's own address is public ({why})")
    return skipped("port mapping", why, "If paths are not direct: allow PCP, NAT-PMP or UPnP at the router.")


def _ipv6(event: NetCheck) -> Check:
    match event.ipv6:
        case "direct":
            return passed("IPv6", "works, and nothing changes our address")
        case "translated":
            return passed("IPv6", "works, through a NAT")
        case "blocked":
            return failed(
                "IPv6",
                "this machine has a public address, and no STUN server answered over it",
                "Mend or turn off IPv6: peers that try it first lose time.",
            )
        case "untested":
            return skipped("IPv6", "this machine has a public address; no STUN server was asked over it")
        case _:
            return skipped("IPv6", "this machine has no public address")
