"""Find out, from this side alone, why a server may be silent; a dark server never says so itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.nat.scope import is_public

CLOCK_TOLERANCE: Final = 60
"""Seconds by which two clocks in order may differ."""

# How many leading bits two hosts of one network usually share.
_USUAL_PREFIX: Final = {4: 24, 6: 64}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that would explain the silence, and what to do about it."""

    cause: str
    action: str


def diagnose(
    credential: Credential, *, now_unix: int, own_addresses: Sequence[str], path_errors: Sequence[str] = ()
) -> list[Finding]:
    """List what explains a silent server, the most certain first; empty when nothing can be seen from here.

    ``path_errors`` are the names of errors the network answered with, such as ``ECONNREFUSED``.
    """
    own = [ipaddress.ip_address(address) for address in own_addresses]
    servers = [ipaddress.ip_address(candidate.host) for candidate in credential.candidates]
    here = bool(servers) and all(address.is_loopback for address in servers)
    found = ([] if here else _of_network(own)) + _of_clock(credential, now_unix) + _of_path(path_errors)
    if own and servers:
        found += _of_addresses(own, servers)
    return found


def _of_network(own: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> list[Finding]:
    if any(not address.is_loopback for address in own):
        return []
    return [Finding("this machine has no network", "Connect to a network and run the command again.")]


def _of_clock(credential: Credential, now_unix: int) -> list[Finding]:
    late = now_unix - credential.valid_until
    if late > 0:
        return [
            Finding(f"the security file expired {_span(late)} ago by this clock", "Ask the operator for a new file.")
        ]
    early = credential.timestamp - now_unix
    if early > CLOCK_TOLERANCE:
        return [Finding(f"this machine's clock is {_span(early)} slow", "Set the clock; the file may have expired.")]
    return []


def _of_path(path_errors: Sequence[str]) -> list[Finding]:
    found = []
    if "ECONNREFUSED" in path_errors:
        found.append(
            Finding(
                "the server's machine answers that nothing listens at that port",
                "Start the server, or ask for a new file: its address is another one now.",
            )
        )
    if unreachable := sorted({"EHOSTUNREACH", "ENETUNREACH"}.intersection(path_errors)):
        found.append(
            Finding(f"the network says the server can't be reached ({unreachable[0]})", "Check the network or the VPN.")
        )
    if {"EPERM", "EACCES"}.intersection(path_errors):
        found.append(Finding("this machine's own firewall blocks UDP", "Allow outgoing UDP for this program."))
    return found


def _of_addresses(
    own: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address],
    servers: Sequence[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> list[Finding]:
    if all(address.is_loopback for address in servers):
        return [Finding("the file only names addresses of the server's own machine", "Run the client there.")]
    families = {address.version for address in own if not address.is_loopback}
    if families and not families.intersection(address.version for address in servers):
        only = "IPv6" if servers[0].version == 6 else "IPv4"  # noqa: PLR2004 - the version of IP
        return [
            Finding(f"the server has {only} addresses only, and this machine has none", f"Use a network with {only}.")
        ]
    if not any(is_public(str(address)) for address in servers) and not any(_near(a, b) for a in own for b in servers):
        shown = ", ".join(map(str, servers))
        return [
            Finding(
                f"the server's addresses are private ({shown}) and not of a network this machine is in",
                "Join the server's network, or have `networking.public_address` set on the server.",
            )
        ]
    return []


def _near(
    one: ipaddress.IPv4Address | ipaddress.IPv6Address, other: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> bool:
    if one.version != other.version:
        return False
    shift = one.max_prefixlen - _USUAL_PREFIX[one.version]
    return int(one) >> shift == int(other) >> shift


def _span(seconds: int) -> str:
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = seconds // size
            return f"{count} {word}" + ("s" if count > 1 else "")
    return f"{seconds} s"
