"""What scanners of the internet send to UDP ports to find out what listens there."""

from __future__ import annotations

import random
import struct
from typing import Final

_chance = random.Random("scanners")
_id = _chance.randbytes


def _dns(name: str, kind: int, of: int = 1, *, flags: int = 0x0100) -> bytes:
    labels = b"".join(bytes((len(label),)) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", 0x1234, flags, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, of)


def _quic(version: int) -> bytes:
    head = b"\xc3" + struct.pack(">I", version) + b"\x08" + _id(8) + b"\x08" + _id(8) + b"\x00\x44\x9e"
    return head + _id(1200 - len(head))


def _stun(method: int, attributes: bytes = b"") -> bytes:
    return struct.pack(">HHI", method, len(attributes), 0x2112A442) + _id(12) + attributes


def _dtls() -> bytes:
    body = b"\xfe\xfd" + _id(32) + b"\x00\x00" + b"\x00\x06\xc0\x2b\xc0\x2f\x00\x2f" + b"\x01\x00"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + bytes(5) + len(body).to_bytes(3, "big") + body
    return b"\x16\xfe\xff" + bytes(8) + len(handshake).to_bytes(2, "big") + handshake


def _ssdp(target: str) -> bytes:
    lines = ("M-SEARCH * HTTP/1.1", "HOST: 239.255.255.250:1900", 'MAN: "ssdp:discover"', "MX: 1", f"ST: {target}")
    return "\r\n".join((*lines, "", "")).encode()


_SIP: Final = (
    "OPTIONS sip:nm SIP/2.0\r\nVia: SIP/2.0/UDP nm;branch=foo;rport\r\nFrom: <sip:nm@nm>;tag=root\r\n"
    "To: <sip:nm2@nm2>\r\nCall-ID: 50000\r\nCSeq: 42 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
_WS_DISCOVERY: Final = (
    '<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope">'
    "<e:Body><Probe/></e:Body></e:Envelope>"
)

PAYLOADS: Final[dict[str, bytes]] = {
    "BACnet who-is": bytes.fromhex("810b000c0120ffff00ff1008"),
    "BitTorrent DHT ping": b"d1:ad2:id20:" + _id(20) + b"e1:q4:ping1:t2:aa1:y1:qe",
    "chargen": b"\x00",
    "CLDAP": bytes.fromhex("3025020101632004000a01000a0100020100020100010100870b6f626a656374636c6173733000"),
    "CoAP": b"\x40\x01\x7d\x70\xbb.well-known\x04core",
    "DHCP": b"\x01\x01\x06\x00" + _id(4) + bytes(228) + bytes.fromhex("63825363350101ff"),
    "DNS A": _dns("example.com", 1),
    "DNS ANY": _dns("isc.org", 255),
    "DNS version": _dns("version.bind", 16, 3),
    "DTLS": _dtls(),
    "echo": b"hello?\r\n",
    "GTP": bytes.fromhex("320100040000000012340000"),
    "IKEv2": _id(8) + bytes(8) + bytes.fromhex("21202208000000000000002c000000100101000000000000"),
    "IPMI": bytes.fromhex("0600ff07000000000000000000092018c88100388e04b5"),
    "L2TP": bytes.fromhex("c802004c0000000000000000800800000000000180080000000201008008000000000003"),
    "mDNS": _dns("_services._dns-sd._udp.local", 12, flags=0),
    "memcached": b"\x00\x01\x00\x00\x00\x01\x00\x00stats\r\n",
    "MSSQL": b"\x02",
    "NAT-PMP": b"\x00\x00",
    "NetBIOS": struct.pack(">HHHHHH", 0x80F0, 0x10, 1, 0, 0, 0) + b"\x20CK" + b"A" * 30 + b"\x00\x00\x21\x00\x01",
    "NTP": b"\x23" + bytes(39) + _id(8),
    "NTP monlist": b"\x17\x00\x03\x2a" + bytes(4),
    "OpenVPN": b"\x38" + _id(8) + bytes(5),
    "OpenVPN tls-auth": b"\x38" + _id(8 + 20) + bytes(13),
    "PCP": b"\x02\x00" + bytes(22),
    "portmap": struct.pack(">IIIIIIIIII", 0x1234, 0, 2, 100000, 2, 4, 0, 0, 0, 0),
    "Quake": b"\xff\xff\xff\xffgetstatus\n",
    "QUIC v1": _quic(1),
    "QUIC v2": _quic(0x6B3343CF),
    "QUIC unknown": _quic(0x1A2A3A4A),
    "RADIUS": b"\x0c\x01\x00\x26" + _id(34),
    "RIP": bytes.fromhex("010100000000000000000000000000000000000000000010"),
    "RTP": b"\x80\x00" + _id(10) + bytes(160),
    "SIP": _SIP.encode(),
    "SNMPv1": bytes.fromhex("302602010004067075626c6963a019020204d2020100020100300d300b06072b0601020101050000"),
    "SNMPv3": bytes.fromhex("303a020103300f02024a69020300ffe30401040201030410300e0400020100020100040004000400"),
    "Source": b"\xff\xff\xff\xffTSource Engine Query\x00",
    "SSDP": _ssdp("ssdp:all"),
    "SSDP root": _ssdp("upnp:rootdevice"),
    "STUN": _stun(0x0001),
    "STUN with fingerprint": _stun(0x0001, b"\x80\x22\x00\x04scan\x80\x28\x00\x04" + _id(4)),
    "TFTP": b"\x00\x01boot.ini\x00octet\x00",
    "TURN": _stun(0x0003, b"\x00\x19\x00\x04\x11\x00\x00\x00"),
    "Ubiquiti": b"\x01\x00\x00\x00",
    "VXLAN": bytes.fromhex("0800000000000100") + _id(60),
    "WireGuard": b"\x01\x00\x00\x00" + _id(144),
    "WireGuard cookie": b"\x03\x00\x00\x00" + _id(60),
    "WS-Discovery": _WS_DISCOVERY.encode(),
    "XDMCP": bytes.fromhex("00010002000100"),
}
