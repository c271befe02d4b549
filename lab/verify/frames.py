"""What a recorded frame is: a UDP datagram, or one of the other things that belong to a network.

Headers are walked by hand, because captures are large; a test holds the result against scapy's own layers.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple


class Class(StrEnum):
    """What a frame carries. Only the first is up for proof; those after ``TCP`` can't be judged, so they fail it."""

    UDP = "UDP"
    ARP = "ARP"
    ICMP = "ICMP"
    ICMP6 = "ICMPv6"
    NEIGHBOUR = "IPv6 neighbour discovery"
    GROUP = "multicast membership"
    TCP = "TCP"
    FRAGMENT = "IP fragment"
    CUT = "frame that was not recorded whole"
    MALFORMED = "malformed packet"
    UNKNOWN = "unknown protocol"


JUDGED_ELSEWHERE: Final = frozenset(
    {Class.ARP, Class.ICMP, Class.ICMP6, Class.NEIGHBOUR, Class.GROUP, Class.TCP},
)
"""No UDP: counted, and no part of the proof."""

Place = tuple[str, int]
"""Address and port."""


class Udp(NamedTuple):
    """A UDP datagram, as it passed one capture point; the time is in nanoseconds."""

    point: str
    at: int
    source: Place
    destination: Place
    payload: bytes


class Met(NamedTuple):
    """A dissected frame; ``payload`` is what the last header we know stands before."""

    kind: Class
    payload: bytes
    source: Place = ("", 0)
    destination: Place = ("", 0)


ETHERNET: Final = 1
RAW_LINKS: Final = frozenset({12, 14, 101, 228, 229})
LINUX_SLL: Final = 113
LINUX_SLL2: Final = 276
"""LINKTYPE values."""

IPV4: Final = 0x0800
ARP: Final = 0x0806
VLAN: Final = frozenset({0x8100, 0x88A8})
IPV6: Final = 0x86DD
"""EtherTypes."""

IGMP: Final = 2
TCP: Final = 6
TCP_HEADER: Final = 20
"""Bytes at least."""
UDP: Final = 17
ICMP: Final = 1
ICMP6: Final = 58
FRAGMENT_HEADER: Final = 44
SKIPPED_HEADERS: Final = frozenset({0, 43, 60})
"""IPv6 extension headers that say nothing about fragments: hop-by-hop, routing, destination options."""

NEIGHBOUR_TYPES: Final = range(133, 138)
GROUP_TYPES: Final = frozenset({130, 131, 132, 143})
"""Types of ICMPv6."""

_FRAGMENT_BITS: Final = 0x3FFF
_IPV4_HEADER: Final = struct.Struct(">BxHHHBBH4s4s")
_IPV6_HEADER: Final = struct.Struct(">IHBB16s16s")
_UDP_HEADER: Final = struct.Struct(">HHHH")


def dissect(link: int, frame: bytes) -> Met:
    """Tell what a frame is."""
    try:
        protocol, packet = _unwrap(link, frame)
        match protocol:
            case _ if protocol == ARP:
                return Met(Class.ARP, packet)
            case _ if protocol == IPV4:
                return _ipv4(packet)
            case _ if protocol == IPV6:
                return _ipv6(packet)
            case _:
                return Met(Class.UNKNOWN, packet)
    except (struct.error, IndexError):
        return Met(Class.MALFORMED, frame)


def _unwrap(link: int, frame: bytes) -> tuple[int, bytes]:
    if link in RAW_LINKS:
        return (IPV6 if frame[0] >> 4 == 6 else IPV4), frame
    places = {ETHERNET: (12, 14), LINUX_SLL: (14, 16), LINUX_SLL2: (0, 20)}
    if link not in places:
        return 0, frame
    at, start = places[link]
    protocol = int.from_bytes(frame[at : at + 2], "big")
    while protocol in VLAN:
        protocol = int.from_bytes(frame[start + 2 : start + 4], "big")
        start += 4
    return protocol, frame[start:]


def _ipv4(packet: bytes) -> Met:
    first, total, _, fragment, _, protocol, _, source, destination = _IPV4_HEADER.unpack_from(packet)
    start = (first & 15) * 4
    if first >> 4 != 4 or not 20 <= start <= total <= len(packet):
        return Met(Class.MALFORMED, packet)
    inside = packet[start:total]
    if fragment & _FRAGMENT_BITS:
        return Met(Class.FRAGMENT, inside)
    if protocol in {UDP, TCP}:
        return _with_ports(protocol, inside, str(IPv4Address(source)), str(IPv4Address(destination)))
    return Met({ICMP: Class.ICMP, IGMP: Class.GROUP}.get(protocol, Class.UNKNOWN), inside)


def _ipv6(packet: bytes) -> Met:
    first, length, protocol, _, source, destination = _IPV6_HEADER.unpack_from(packet)
    inside = packet[_IPV6_HEADER.size : _IPV6_HEADER.size + length]
    if first >> 28 != 6 or len(inside) != length:
        return Met(Class.MALFORMED, packet)
    while protocol in SKIPPED_HEADERS:
        protocol, inside = inside[0], inside[(inside[1] + 1) * 8 :]
    if protocol == FRAGMENT_HEADER:
        return Met(Class.FRAGMENT, inside)
    if protocol in {UDP, TCP}:
        return _with_ports(protocol, inside, str(IPv6Address(source)), str(IPv6Address(destination)))
    if protocol == ICMP6:
        known = {**dict.fromkeys(NEIGHBOUR_TYPES, Class.NEIGHBOUR), **dict.fromkeys(GROUP_TYPES, Class.GROUP)}
        return Met(known.get(inside[0], Class.ICMP6), inside)
    return Met(Class.UNKNOWN, inside)


def _with_ports(protocol: int, inside: bytes, source: str, destination: str) -> Met:
    if protocol == UDP:
        return _udp(inside, source, destination)
    if len(inside) < TCP_HEADER or not TCP_HEADER <= (inside[12] >> 4) * 4 <= len(inside):
        return Met(Class.MALFORMED, inside)
    source_port, destination_port = struct.unpack_from(">HH", inside)
    return Met(Class.TCP, inside, (source, source_port), (destination, destination_port))


def _udp(inside: bytes, source: str, destination: str) -> Met:
    # The checksum is not looked at: what a veth hands over may have only half of one.
    source_port, destination_port, length, _ = _UDP_HEADER.unpack_from(inside)
    if length != len(inside):  # bytes behind the datagram would belong to nobody
        return Met(Class.MALFORMED, inside)
    return Met(Class.UDP, inside[_UDP_HEADER.size :], (source, source_port), (destination, destination_port))
