"""Datagrams that are none of ours, and that an operator may have asked for: STUN and port mapping."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lab.verify.frames import Udp


class Service(StrEnum):
    """Who is spoken to."""

    STUN = "STUN"
    PORT_MAPPING = "NAT-PMP or PCP"
    DISCOVERY = "SSDP"


STUN_COOKIE: Final = bytes.fromhex("2112a442")
STUN_HEADER: Final = 20
STUN_TOP_BITS: Final = 0xC0
"""RFC 8489 section 5: two zero bits, and a cookie at offset 4."""

ROUTER_PORTS: Final = frozenset({5350, 5351})
"""RFC 6886 section 1.1, RFC 6887 section 19.1."""

DISCOVERY_PORT: Final = 1900


def service(packet: Udp) -> Service | None:
    """Tell which service a datagram belongs to; None if to no known one."""
    payload, ports = packet.payload, {packet.source[1], packet.destination[1]}
    if (
        len(payload) >= STUN_HEADER
        and not payload[0] & STUN_TOP_BITS
        and payload[4:8] == STUN_COOKIE
        and int.from_bytes(payload[2:4], "big") == len(payload) - STUN_HEADER
    ):
        return Service.STUN
    if ports & ROUTER_PORTS:
        return Service.PORT_MAPPING
    return Service.DISCOVERY if DISCOVERY_PORT in ports else None
