"""UPnP Internet Gateway Devices, version 1 and 2: what a router offers, and the talk that ends in a mapping.

A talk is a generator: it yields the next thing to be fetched or called and is sent what came of it. So it is as pure
as any machine here, and reads from top to bottom.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Generator
from typing import Final, NamedTuple, TypeAlias

from clawchat.nat.portmap.document import Element, parse
from clawchat.nat.portmap.http import Answer, Place
from clawchat.nat.portmap.lease import LIFETIME, LONGEST, Protocol, Refusal
from clawchat.nat.portmap.soap import OK, Call, Fault, read
from clawchat.values.address import MAX_PORT, Address
from clawchat.values.errors import BadDatagram

DESCRIPTION: Final = "clawchat"
"""What the router's owner reads in its list of mappings."""

WAN_IP_1: Final = "urn:schemas-upnp-org:service:WANIPConnection:1"
WAN_IP_2: Final = "urn:schemas-upnp-org:service:WANIPConnection:2"
WAN_PPP_1: Final = "urn:schemas-upnp-org:service:WANPPPConnection:1"
SERVICES: Final = (WAN_IP_2, WAN_IP_1, WAN_PPP_1)
"""What we can talk to, best first."""

MAX_SERVICES: Final = 4
"""Connections of one router that are looked at; those that are down have no address."""

MAX_TRIES: Final = 5
"""Wishes that are put to a router, each changed as its last fault says."""

FIRST_FREE_PORT: Final = 1024
_PERMANENT: Final = 0


class Code(NamedTuple):
    """A fault that the next wish can take into account."""

    number: int
    name: str


CONFLICT: Final = Code(718, "ConflictInMappingEntry")
CONFLICT_ELSEWHERE: Final = Code(729, "ConflictWithOtherMechanisms")
SAME_PORT: Final = Code(724, "SamePortValuesRequired")
ONLY_PERMANENT: Final = Code(725, "OnlyPermanentLeasesSupported")
INVALID_ACTION: Final = Code(401, "Invalid Action")
NO_SUCH_ACTION: Final = Code(602, "Optional Action Not Implemented")
NOT_AUTHORIZED: Final = Code(606, "Action not authorized")
NO_SUCH_ENTRY: Final = Code(714, "NoSuchEntryInArray")


class Service(NamedTuple):
    """A connection of the router to the internet, and where it is called."""

    kind: str
    place: Place


class Get(NamedTuple):
    """Fetch a document."""

    place: Place


class Post(NamedTuple):
    """Call an action."""

    place: Place
    call: Call


Errand: TypeAlias = Get | Post
Brought: TypeAlias = Answer | None
"""What came of an errand; None when nothing did."""


class Router(NamedTuple):
    """A connection that has a public address."""

    service: Service
    public: str


class Grant(NamedTuple):
    """The router maps, for so many seconds."""

    external: Address
    lifetime: float


class Wish(NamedTuple):
    """What is asked for."""

    external_port: int
    lifetime: int
    any_port: bool
    """Let the router choose another port itself (AddAnyPortMapping, version 2)."""


def services(data: bytes, place: Place) -> list[Service]:
    """Read a description; return the connections it offers, best first. Raises BadDatagram."""
    document = parse(data)
    base = document.value("URLBase")
    # a router may give a base, but not one elsewhere
    place = place.beside(base) if base else place
    found = [_service(each, place) for each in document.find("service") if each.child("serviceType") in SERVICES]
    return sorted(found, key=lambda each: SERVICES.index(each.kind))[:MAX_SERVICES]


def _service(element: Element, place: Place) -> Service:
    return Service(element.child("serviceType"), place.beside(element.child("controlURL")))


def find_router(place: Place) -> Generator[Errand, Brought, Router | Refusal]:
    """Find the connection of a described device that is up."""
    answer = yield Get(place)
    if answer is None or answer.status != OK:
        return _refused("the description can't be read")
    try:
        offered = services(answer.body, place)
    except BadDatagram:
        return _refused("the description makes no sense")
    for service in offered:
        values = yield from _call(service, "GetExternalIPAddress", {})
        public = None if isinstance(values, Fault) else _ip(values.get("NewExternalIPAddress", ""))
        if public is not None:
            return Router(service, public)
    return _refused("no connection has a public address" if offered else "no connection is offered")


def map_port(
    router: Router, internal: Address, *, random: Callable[[int], bytes], external: Address | None = None
) -> Generator[Errand, Brought, Grant | Refusal]:
    """Ask a router for a mapping, if it can be with this external port, or renew it."""
    wish = Wish((external or internal).port, LIFETIME, any_port=router.service.kind == WAN_IP_2)
    for _ in range(MAX_TRIES):
        values = yield from _add(router.service, internal, wish)
        if not isinstance(values, Fault):
            port = _port(values.get("NewReservedPort", ""), wish.external_port)
            return Grant(Address(router.public, port), float(wish.lifetime or LONGEST))
        better = next_wish(wish, values, internal.port, random)
        if better is None:
            return _refused(f"{values.description or 'refused'} ({values.code})")
        wish = better
    return _refused("every port asked for is taken")


def unmap_port(router: Router, external: Address) -> Generator[Errand, Brought, bool]:
    """Give a mapping back; return whether the router has it no more."""
    values = yield from _call(
        router.service,
        "DeletePortMapping",
        {"NewRemoteHost": "", "NewExternalPort": str(external.port), "NewProtocol": "UDP"},
    )
    return not isinstance(values, Fault) or values.code == NO_SUCH_ENTRY.number


def next_wish(wish: Wish, fault: Fault, internal_port: int, random: Callable[[int], bytes]) -> Wish | None:
    """Change a wish so that it meets what a fault says; None when nothing can."""
    if wish.any_port and fault.code in {INVALID_ACTION.number, NO_SUCH_ACTION.number, NOT_AUTHORIZED.number}:
        return wish._replace(any_port=False)
    if fault.code in {CONFLICT.number, CONFLICT_ELSEWHERE.number}:
        chosen = FIRST_FREE_PORT + int.from_bytes(random(4), "big") % (MAX_PORT + 1 - FIRST_FREE_PORT)
        return wish._replace(external_port=chosen)
    if fault.code == SAME_PORT.number and wish.external_port != internal_port:
        return wish._replace(external_port=internal_port)
    if fault.code == ONLY_PERMANENT.number and wish.lifetime != _PERMANENT:
        return wish._replace(lifetime=_PERMANENT)
    return None


def _add(service: Service, internal: Address, wish: Wish) -> Generator[Errand, Brought, dict[str, str] | Fault]:
    action = "AddAnyPortMapping" if wish.any_port else "AddPortMapping"
    return _call(
        service,
        action,
        {
            "NewRemoteHost": "",
            "NewExternalPort": str(wish.external_port),
            "NewProtocol": "UDP",
            "NewInternalPort": str(internal.port),
            "NewInternalClient": internal.host,
            "NewEnabled": "1",
            "NewPortMappingDescription": DESCRIPTION,
            "NewLeaseDuration": str(wish.lifetime),
        },
    )


def _call(
    service: Service, action: str, arguments: dict[str, str]
) -> Generator[Errand, Brought, dict[str, str] | Fault]:
    call = Call(service.kind, action, arguments)
    answer = yield Post(service.place, call)
    if answer is None:
        return Fault(0, "no answer")
    try:
        return read(answer, call)
    except BadDatagram:
        return Fault(0, "the answer makes no sense")


def _ip(text: str) -> str | None:
    """Read the router's public address; None for one that leads nowhere."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return None
    return None if address.is_unspecified or address.is_multicast or address.is_reserved else str(address)


def _port(text: str, wished: int) -> int:
    """Read the port a router reserved; one that says none has given the wished one."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= MAX_PORT else wished  # noqa: PLR2004 - digits of 65535


def _refused(reason: str) -> Refusal:
    return Refusal(Protocol.UPNP, reason)
