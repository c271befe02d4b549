"""Find the router that our traffic leaves through, by each system's own means; nothing is sent to find out."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import pathlib
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias

from clawchat.nat import routes
from clawchat.nat.portmap.lease import Gateway
from clawchat.nat.scope import is_loopback, is_public
from clawchat.net.interfaces import routed_addresses
from clawchat.net.socket_errors import System
from clawchat.net.socket_options import SYSTEM

ROUTES_FILE: Final = pathlib.Path("/proc/net/route")
COMMAND_SECONDS: Final = 1.0
"""A command that lists routes takes some milliseconds."""

USUAL_PREFIX: Final = 24
"""Bits that the hosts of one home network share, where the system does not say."""

_PROBE_PORT: Final = 9
_COMMANDS: Final[dict[System, tuple[tuple[str, ...], Callable[[str], list[str]]]]] = {
    System.LINUX: (("ip", "-4", "route"), routes.from_ip_route),
    System.BSD: (("netstat", "-rn", "-f", "inet"), routes.from_netstat),
    System.WINDOWS: (("route", "print", "-4"), routes.from_route_print),
}

Interface: TypeAlias = ipaddress.IPv4Interface


class NoGateway(NamedTuple):
    """There is no router to be asked, and why."""

    reason: str


async def find_gateway(host: str) -> Gateway | NoGateway:
    """Find the router of a port that is bound to ``host``; no router of an address that needs none."""
    bound = ipaddress.ip_address(host)
    if is_loopback(host):
        return NoGateway("the port is for this machine only")
    if not isinstance(bound, ipaddress.IPv4Address):
        return NoGateway("the port is an IPv6 one, which needs no mapping")
    if is_public(host):
        return NoGateway("this machine's own address is public")
    return choose_gateway(bound, await asyncio.to_thread(_gateways), own_interfaces(), _local_towards)


def choose_gateway(
    bound: ipaddress.IPv4Address,
    gateways: Sequence[str],
    interfaces: Sequence[Interface],
    local_towards: Callable[[str], str | None],
) -> Gateway | NoGateway:
    """Choose the best gateway for a port that is bound to an address, which may be unspecified."""
    reason = "no default gateway is known"
    for address in gateways:
        local = str(bound) if not bound.is_unspecified else local_towards(address)
        if local is None or is_loopback(local):
            continue
        if is_public(local):
            reason = "this machine's own address is public"
            continue
        usual = ipaddress.IPv4Network(f"{local}/{USUAL_PREFIX}", strict=False)
        network = next((each.network for each in interfaces if str(each.ip) == local), usual)
        if not bound.is_unspecified and ipaddress.ip_address(address) not in network:
            reason = f"the default gateway is not in the network of {bound}"
            continue
        if address != local:
            return Gateway(address, local, network)
    return NoGateway(reason)


def own_interfaces() -> list[Interface]:
    """Return our IPv4 addresses with their networks; empty where the system does not tell."""
    import ifaddr  # noqa: PLC0415 - it looks for the C library when it is loaded, which takes a while

    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return []
    return [
        ipaddress.IPv4Interface(f"{ip.ip}/{ip.network_prefix}")
        for adapter in adapters
        for ip in adapter.ips
        if isinstance(ip.ip, str)
    ]


def _gateways() -> list[str]:
    """Ask the system; what can't be known is guessed, as the first address of our network."""
    found: list[str] = []
    if SYSTEM is System.LINUX:
        with contextlib.suppress(OSError, ValueError):  # Android closes it to programs
            found = routes.from_proc(ROUTES_FILE.read_text(encoding="ascii"), sys.byteorder)
    return found or _from_command() or [str(_first_host(each)) for each in routed_addresses() if ":" not in each]


def _from_command() -> list[str]:
    command, read = _COMMANDS[SYSTEM]
    try:
        done = subprocess.run(  # noqa: S603 - one of the three commands above
            command, capture_output=True, text=True, errors="replace", timeout=COMMAND_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return read(done.stdout)


def _first_host(host: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Network(f"{host}/{USUAL_PREFIX}", strict=False).network_address + 1


def _local_towards(address: str) -> str | None:
    """Return the address we would send to another one from; nothing is sent to find out."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect((address, _PROBE_PORT))
            return str(sock.getsockname()[0])
    except OSError:
        return None
