"""Read a system's list of routes: the default gateways for IPv4, best first."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final, Literal

_UP_AND_GATEWAY: Final = 0x3
"""RTF_UP and RTF_GATEWAY (linux/route.h)."""

_IP_ROUTE: Final = re.compile(r"default via (?P<gateway>[0-9.]+)\b(?:.* metric (?P<metric>\d+))?")
_NETSTAT: Final = re.compile(r"(?:default|0\.0\.0\.0)\s+(?P<gateway>[0-9.]+)\s+\S*G")
_WINDOWS: Final = re.compile(r"\s*0\.0\.0\.0\s+0\.0\.0\.0\s+(?P<gateway>[0-9.]+)\s+[0-9.]+\s+(?P<metric>\d+)\s*")


def from_proc(text: str, byteorder: Literal["little", "big"]) -> list[str]:
    """Read Linux's /proc/net/route, whose addresses are hexadecimal numbers in the host's byte order."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        try:
            destination, gateway, flags, metric, mask = (
                int(fields[1], 16),
                int(fields[2], 16),
                int(fields[3], 16),
                int(fields[6]),
                int(fields[7], 16),
            )
            address = str(ipaddress.IPv4Address(gateway.to_bytes(4, byteorder)))
        except (ValueError, OverflowError, IndexError):
            continue
        if not destination and not mask and flags & _UP_AND_GATEWAY == _UP_AND_GATEWAY:
            found.append((metric, address))
    return _best_first(found)


def from_ip_route(text: str) -> list[str]:
    """Read what ``ip -4 route`` prints (Linux, and Android, where /proc is closed)."""
    return _best_first(_matches(_IP_ROUTE, text))


def from_netstat(text: str) -> list[str]:
    """Read what ``netstat -rn -f inet`` prints (macOS and the BSDs)."""
    return _best_first(_matches(_NETSTAT, text))


def from_route_print(text: str) -> list[str]:
    """Read what ``route print -4`` prints on Windows, in whatever language."""
    return _best_first(_matches(_WINDOWS, text))


def _matches(pattern: re.Pattern[str], text: str) -> Iterator[tuple[int, str]]:
    for line in text.splitlines():
        match = pattern.match(line)
        if match is not None:
            yield int(match.groupdict().get("metric") or 0), match["gateway"]


def _best_first(found: list[tuple[int, str]] | Iterator[tuple[int, str]]) -> list[str]:
    usable = [(metric, gateway) for metric, gateway in found if _is_host(gateway)]
    return list(dict.fromkeys(gateway for _, gateway in sorted(usable, key=lambda each: each[0])))


def _is_host(text: str) -> bool:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_loopback)
