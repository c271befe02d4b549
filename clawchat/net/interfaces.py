"""This machine's addresses at which a peer may reach it, and in which order they are worth trying."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import Final, NamedTuple

from clawchat.values.address import Address

_CONTAINER: Final = re.compile(
    r"docker|br-[0-9a-f]{12}|veth|cni|flannel|cali|podman|virbr|lxcbr|lxdbr|incusbr|vmnet|vboxnet|bridge1\d\d"
    r"|vEthernet|VirtualBox|VMware|Hyper-V",
)
"""Networks inside this machine, by the names their programs give them: nobody outside can reach them."""

_TUNNEL: Final = re.compile(
    r"tun|tap|utun|wg|ppp|ipsec|zt|tailscale|nordlynx|.*(WireGuard|TAP-|Wintun|VPN)", re.IGNORECASE
)
"""Virtual private networks: tried last, since what runs through them is already somebody else's tunnel."""

_PROBE_PORT: Final = 9
_IPV4_ELSEWHERE: Final = "203.0.113.1"
_IPV6_ELSEWHERE: Final = "2001:db8::1"
"""Addresses of documentation (RFC 5737, RFC 3849) on the discard port: nothing is ever sent there."""


class Interface(NamedTuple):
    """A network interface: its names, and its addresses as text without a zone."""

    name: str
    label: str
    addresses: tuple[str, ...]


def interfaces() -> list[Interface]:
    """Return the machine's interfaces, empty where the system does not tell."""
    import ifaddr  # noqa: PLC0415 - it looks for the C library when it is loaded, which takes a while

    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return []
    return [
        Interface(
            str(each.name),
            each.nice_name,
            tuple(str(ip.ip[0] if isinstance(ip.ip, tuple) else ip.ip) for ip in each.ips),
        )
        for each in adapters
    ]


def host_addresses(found: Iterable[Interface] | None = None) -> list[str]:
    """Return our IP addresses, best first: physical interfaces, then tunnels; IPv6 before IPv4 within each.

    Loopback is left out unless there is nothing else; link-local addresses and networks inside this machine
    are left out always.
    """
    if found is None:
        found = interfaces() or [Interface("route", "route", tuple(routed_addresses()))]
    usable: list[tuple[bool, bool, str]] = []
    loopback: list[str] = []
    for interface in found:
        names = (interface.name, interface.label)
        if any(_CONTAINER.match(name) for name in names):
            continue
        tunnel = any(_TUNNEL.match(name) is not None for name in names)
        for text in interface.addresses:
            address = ipaddress.ip_address(text.partition("%")[0])
            if address.is_loopback:
                loopback.append(str(address))
            elif not (address.is_link_local or address.is_unspecified or address.is_multicast):
                usable.append((tunnel, address.version == 4, str(address)))  # noqa: PLR2004 - the IP version
    # sorted() keeps the system's order among equals
    ranked = [text for *_, text in sorted(usable, key=lambda each: each[:2])]
    return list(dict.fromkeys(ranked or loopback))


def host_candidates(port: Address, found: Iterable[Interface] | None = None) -> list[Address]:
    """Return the addresses at which a port is reachable from our own networks."""
    if not ipaddress.ip_address(port.host).is_unspecified:
        return [port]
    return [Address(host, port.port) for host in host_addresses(found) if (":" in host) is port.is_ipv6]


def routed_addresses() -> list[str]:
    """Return the addresses we would send from to the internet; nothing is sent to find out."""
    addresses = []
    for family, elsewhere in ((socket.AF_INET, _IPV4_ELSEWHERE), (socket.AF_INET6, _IPV6_ELSEWHERE)):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.connect((elsewhere, _PROBE_PORT))
                addresses.append(str(sock.getsockname()[0]))
        except OSError:
            continue  # no such network here
    return addresses
