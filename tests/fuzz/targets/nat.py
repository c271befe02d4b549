"""What STUN servers and routers answer."""

from __future__ import annotations

import ipaddress

from clawchat.nat.portmap.document import parse
from clawchat.nat.portmap.http import Answer, Place, Reader, read_head, read_url
from clawchat.nat.portmap.igd import services
from clawchat.nat.portmap.lease import Gateway
from clawchat.nat.portmap.natpmp import NatPmp
from clawchat.nat.portmap.pcp import Pcp
from clawchat.nat.portmap.soap import Call, read
from clawchat.nat.portmap.ssdp import read_answer
from clawchat.nat.stun import decode_reply
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

INTERNAL = Address("192.168.1.2", 50_000)
ROUTER = Address("192.168.1.1", 1900)
GATEWAY = Gateway("192.168.1.1", "192.168.1.2", ipaddress.IPv4Network("192.168.1.0/24"))


def stun(data: bytes) -> None:
    """An answer of a STUN server is one, or a BadDatagram."""
    try:
        decode_reply(data)
    except BadDatagram:
        return


def pcp(data: bytes) -> None:
    """An answer by PCP is one, or a BadDatagram."""
    try:
        Pcp(INTERNAL, random=bytes).read(data)
    except BadDatagram:
        return


def nat_pmp(data: bytes) -> None:
    """Answers by NAT-PMP are some, or a BadDatagram."""
    asked = NatPmp(INTERNAL)
    for part in (data[:12], data[12:]):
        try:
            asked.read(part)
        except BadDatagram:
            continue


def ssdp(data: bytes) -> None:
    """A device's answer names a place in its own network, or is a BadDatagram."""
    try:
        place = read_answer(data, ROUTER, GATEWAY)
    except BadDatagram:
        return
    assert ipaddress.ip_address(place.server.host) in GATEWAY.network


def http(data: bytes) -> None:
    """An HTTP answer is one, or a BadDatagram, however it is cut."""
    reader, cut = Reader(), data[0] if data else 0
    try:
        answer = reader.feed(data[1 : 1 + cut]) or reader.feed(data[1 + cut :]) or reader.end()
        assert isinstance(answer, Answer)
    except BadDatagram:
        pass
    try:
        read_head(data)
    except BadDatagram:
        return


def url(data: bytes) -> None:
    """A URL leads to an IP address, or is a BadDatagram."""
    try:
        place = read_url(data.decode("latin-1"))
    except BadDatagram:
        return
    ipaddress.ip_address(place.server.host)


def description(data: bytes) -> None:
    """A device's description is one, or a BadDatagram; nothing in it is expanded or fetched."""
    try:
        parse(data)
        services(data, _place())
    except BadDatagram:
        return


def soap(data: bytes) -> None:
    """A service's letter is one, or a BadDatagram."""
    call = Call("urn:schemas-upnp-org:service:WANIPConnection:1", "GetExternalIPAddress", {})
    for status in (200, 500):
        try:
            read(Answer(status, {}, data), call)
        except BadDatagram:
            continue


def _place() -> Place:
    return read_url("http://192.168.1.1:5000/rootDesc.xml")


TARGETS = {
    "stun": stun,
    "pcp": pcp,
    "nat_pmp": nat_pmp,
    "ssdp": ssdp,
    "http": http,
    "url": url,
    "description": description,
    "soap": soap,
}
