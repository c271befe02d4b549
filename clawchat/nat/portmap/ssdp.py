"""Find UPnP routers (UPnP Device Architecture 1.1, section 1.3): ask everybody, listen to the gateway."""

from __future__ import annotations

import ipaddress
from typing import Final

from clawchat.nat.portmap.http import MAX_HEAD_BYTES, Place, read_head, read_url
from clawchat.nat.portmap.lease import Gateway
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

GROUP: Final = Address("239.255.255.250", 1900)
"""Where UPnP devices listen."""

MULTICAST_TTL: Final = 2
"""UPnP Device Architecture 1.1 section 1.3.2."""

MAX_WAIT: Final = 1
"""Seconds over which devices spread their answers; we don't wait longer for any."""

_OK: Final = 200
TARGETS: Final = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
"""What we look for; some routers answer only to one of these."""


def searches(destination: Address = GROUP) -> list[bytes]:
    """Encode the questions, one for each target."""
    return [
        (
            "M-SEARCH * HTTP/1.1\r\n"
            f"HOST: {destination}\r\n"
            'MAN: "ssdp:discover"\r\n'
            f"MX: {MAX_WAIT}\r\n"
            f"ST: {target}\r\n"
            "\r\n"
        ).encode("ascii")
        for target in TARGETS
    ]


def read_answer(data: bytes, source: Address, gateway: Gateway) -> Place:
    """Read where a device describes itself. Raises BadDatagram.

    The answer must be about something we asked for, and both it and the description must come from the gateway's
    own network: nobody sends us to read from elsewhere.
    """
    head = data.rstrip(b"\r\n\0")
    if len(data) > MAX_HEAD_BYTES:
        raise BadDatagram("upnp")
    status, headers = read_head(head)
    if status != _OK or headers.get("st") not in TARGETS:
        raise BadDatagram("upnp")
    place = read_url(headers.get("location", ""))
    if not is_near(source.host, gateway) or not is_near(place.server.host, gateway):
        raise BadDatagram("upnp")
    return place


def is_near(host: str, gateway: Gateway) -> bool:
    """Tell whether an address is the gateway's, or another one of its network that is not ours."""
    if host == gateway.address:
        return True
    address = ipaddress.ip_address(host)
    return host != gateway.local and not address.is_multicast and address in gateway.network
