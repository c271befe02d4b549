"""Frames are told apart as scapy tells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, CookedLinux, Dot1Q, Ether
from scapy.packet import Packet

from lab.verify.frames import ETHERNET, LINUX_SLL, Class, dissect

V4 = IP(src="10.1.0.2", dst="203.0.113.9")
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
"""With both addresses: scapy would ask the network for them."""
PORTS = UDP(sport=4000, dport=5000)


@pytest.mark.parametrize(
    ("layers", "source", "destination"),
    [
        (ETHER / V4 / PORTS, "10.1.0.2", "203.0.113.9"),
        (
            ETHER / IP(src="10.1.0.2", dst="203.0.113.9", options=[IPOption_NOP()] * 4) / PORTS,
            "10.1.0.2",
            "203.0.113.9",
        ),
        (ETHER / Dot1Q(vlan=5) / V4 / PORTS, "10.1.0.2", "203.0.113.9"),
        (ETHER / Dot1Q(vlan=5) / Dot1Q(vlan=6) / V6 / PORTS, "2001:db8::1", "2001:db8::2"),
        (ETHER / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / PORTS, "2001:db8::1", "2001:db8::2"),
    ],
    ids=["IPv4", "options", "VLAN", "two VLANs", "extension headers"],
)
@given(payload=st.binary(max_size=100))
def test_udp(layers: Packet, source: str, destination: str, payload: bytes) -> None:
    met = dissect(ETHERNET, bytes(layers / payload))
    assert met == (Class.UDP, payload, (source, 4000), (destination, 5000))


@pytest.mark.parametrize(
    ("layers", "kind"),
    [
        (ARP(), Class.ARP),
        (V4 / ICMP(), Class.ICMP),
        (V4 / TCP(), Class.TCP),
        (V6 / TCP(), Class.TCP),
        (V6 / ICMPv6ND_NS(), Class.NEIGHBOUR),
        (V6 / ICMPv6MLReport(), Class.GROUP),
        (V6 / ICMPv6EchoRequest(), Class.ICMP6),
        (IP(src="10.1.0.2", dst="224.0.0.1", proto=2) / b"12345678", Class.GROUP),
        (IP(proto=132) / b"12345678", Class.UNKNOWN),
        (IP(src="10.1.0.2", dst="203.0.113.9", flags="MF") / PORTS, Class.FRAGMENT),
        (IP(src="10.1.0.2", dst="203.0.113.9", frag=4, proto=17) / b"the rest of it", Class.FRAGMENT),
        (V6 / IPv6ExtHdrFragment() / PORTS, Class.FRAGMENT),
        (V4 / UDP(len=5000) / b"short", Class.MALFORMED),
        (V4 / UDP(len=9) / b"bytes behind the datagram", Class.MALFORMED),
        (IP(len=4000) / PORTS, Class.MALFORMED),
    ],
    ids=str,
)
def test_other_frames(layers: Packet, kind: Class) -> None:
    assert dissect(ETHERNET, bytes(ETHER / layers)).kind is kind


def test_other_links() -> None:
    packet = V4 / PORTS / b"payload"
    assert dissect(LINUX_SLL, bytes(CookedLinux(proto=0x800) / packet)).payload == b"payload"
    assert dissect(101, bytes(packet)).payload == b"payload"
    assert dissect(101, bytes(V6 / PORTS / b"payload")).payload == b"payload"
    assert dissect(9999, bytes(packet)).kind is Class.UNKNOWN


@given(frame=st.binary(max_size=120), link=st.sampled_from([1, 101, 113, 276]))
def test_any_bytes_are_something(frame: bytes, link: int) -> None:
    assert dissect(link, frame).kind in Class


@given(payload=st.binary(max_size=60), cut=st.integers(1, 80))
def test_a_cut_frame_is_never_taken_for_a_datagram(payload: bytes, cut: int) -> None:
    whole = bytes(ETHER / V4 / PORTS / payload)
    assert dissect(ETHERNET, whole[: max(0, len(whole) - cut)]).kind is not Class.UDP
