"""UPnP without sockets: who is listened to, and the talk with a router from its description to the mapping."""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.portmap import http, igd, soap, ssdp
from clawchat.nat.portmap.http import Answer, Place
from clawchat.nat.portmap.igd import WAN_IP_1, WAN_IP_2, WAN_PPP_1, Brought, Errand, Get, Grant, Post, Router, Service
from clawchat.nat.portmap.lease import LIFETIME, LONGEST, Gateway, Protocol, Refusal
from clawchat.nat.portmap.soap import Call, Fault
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram
from tests.support.little_igd import LittleIgd, description, fault, response

ReturnT = TypeVar("ReturnT")
GATEWAY = Gateway("192.168.1.1", "192.168.1.2", ipaddress.ip_network("192.168.1.0/24"))
SOURCE = Address("192.168.1.1", 1900)
PLACE = Place(Address("192.168.1.1", 5000), "/rootDesc.xml")
INTERNAL = Address("192.168.1.2", 50_000)
TARGET = ssdp.TARGETS[0]


def found(
    location: str = "http://192.168.1.1:5000/rootDesc.xml", target: str = TARGET, status: str = "200 OK"
) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        "CACHE-CONTROL: max-age=120",
        f"ST: {target}",
        f"LOCATION: {location}",
        "EXT:",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


class TestSearch:
    def test_what_is_asked(self) -> None:
        first, *_ = ssdp.searches()
        assert first == (
            b'M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: "ssdp:discover"\r\nMX: 1\r\n'
            b"ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n"
        )

    def test_the_gateway_says_where_it_describes_itself(self) -> None:
        assert ssdp.read_answer(found(), SOURCE, GATEWAY) == PLACE

    def test_another_address_of_its_network_may_do_so(self) -> None:
        place = ssdp.read_answer(found("http://192.168.1.254/d"), Address("192.168.1.254", 1900), GATEWAY)
        assert place == Place(Address("192.168.1.254", 80), "/d")

    @pytest.mark.parametrize(
        ("data", "source"),
        [
            (found("http://192.168.2.1:5000/d"), SOURCE),
            (found("http://127.0.0.1:5000/d"), SOURCE),
            (found("http://192.168.1.2:5000/d"), SOURCE),
            (found("http://169.254.169.254/latest"), SOURCE),
            (found("http://203.0.113.1/d"), SOURCE),
            (found("http://router/d"), SOURCE),
            (found("https://192.168.1.1/d"), SOURCE),
            (found(), Address("203.0.113.1", 1900)),
            (found(), Address("192.168.1.2", 1900)),
            (found(), Address("fe80::1", 1900)),
            (found(target="upnp:rootdevice"), SOURCE),
            (found(status="404 Not Found"), SOURCE),
            (b"NOTIFY * HTTP/1.1\r\nLOCATION: http://192.168.1.1/\r\n\r\n", SOURCE),
            (b"", SOURCE),
            (found() + b"x" * 9000, SOURCE),
        ],
    )
    def test_nobody_sends_us_elsewhere(self, data: bytes, source: Address) -> None:
        with pytest.raises(BadDatagram):
            ssdp.read_answer(data, source, GATEWAY)

    @given(st.binary(max_size=300))
    def test_arbitrary_bytes_are_refused(self, data: bytes) -> None:
        with pytest.raises(BadDatagram):
            ssdp.read_answer(data, SOURCE, GATEWAY)


class TestLetters:
    CALL = Call(WAN_IP_1, "AddPortMapping", {"NewProtocol": "UDP", "NewPortMappingDescription": "<&>"})

    def test_a_call_is_a_letter(self) -> None:
        assert self.CALL.headers["SOAPAction"] == f'"{WAN_IP_1}#AddPortMapping"'
        assert (
            f'<u:AddPortMapping xmlns:u="{WAN_IP_1}"><NewProtocol>UDP</NewProtocol>'
            "<NewPortMappingDescription>&lt;&amp;&gt;</NewPortMappingDescription></u:AddPortMapping>"
        ).encode() in self.CALL.body

    def test_what_it_returned(self) -> None:
        body = response(WAN_IP_1, "AddPortMapping", NewReservedPort=" 5 ")
        assert soap.read(Answer(200, {}, body), self.CALL) == {"NewReservedPort": "5"}

    def test_a_fault(self) -> None:
        told = soap.read(Answer(500, {}, fault(718, "Conflict\tIn it")), self.CALL)
        assert told == Fault(718, "Conflict In it")

    def test_a_page_that_is_not_there(self) -> None:
        assert soap.read(Answer(404, {}, b"<html>"), self.CALL) == Fault(404, "HTTP status 404")

    @pytest.mark.parametrize(
        "answer",
        [
            Answer(200, {}, b"<html/>"),
            Answer(200, {}, response(WAN_IP_1, "OtherAction")),
            Answer(500, {}, b"<html/>"),
            Answer(500, {}, fault(7, "x").replace(b">7<", b">seven<")),
            Answer(200, {}, b"nothing"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, answer: Answer) -> None:
        with pytest.raises(BadDatagram):
            soap.read(answer, self.CALL)


class TestDescription:
    def test_connections_are_found_the_best_first(self) -> None:
        offered = igd.services(description(WAN_PPP_1, WAN_IP_1, WAN_IP_2), PLACE)
        assert [each.kind for each in offered] == [WAN_IP_2, WAN_IP_1, WAN_PPP_1]
        assert {each.place for each in offered} == {Place(PLACE.server, "/ctl/IPConn")}

    def test_a_base_on_the_same_server_counts(self) -> None:
        text = description(WAN_IP_1, base="http://192.168.1.1:5000/upnp/", control="ctl")
        assert igd.services(text, PLACE)[0].place.path == "/upnp/ctl"

    @pytest.mark.parametrize(
        "text",
        [
            description(WAN_IP_1, base="http://10.0.0.1:5000/"),
            description(WAN_IP_1, control="http://10.0.0.1/ctl"),
            description(WAN_IP_1, control="http://192.168.1.1:22/ctl"),
        ],
    )
    def test_a_description_does_not_send_us_elsewhere(self, text: bytes) -> None:
        with pytest.raises(BadDatagram):
            igd.services(text, PLACE)

    def test_a_description_of_something_else_offers_nothing(self) -> None:
        assert igd.services(b"<root><device/></root>", PLACE) == []


def talk(conversation: Generator[Errand, Brought, ReturnT], router: LittleIgd | None) -> ReturnT:
    """Do a talk's errands at a router; without one nothing ever comes of them."""
    try:
        errand = next(conversation)
        while True:
            brought: Brought = None
            if router is not None:
                if isinstance(errand, Get):
                    request = http.write_get(errand.place)
                else:
                    request = http.write_post(errand.place, errand.call.body, errand.call.headers)
                status, body = router.answer(request)
                brought = Answer(status, {}, body)
            errand = conversation.send(brought)
    except StopIteration as end:
        result: ReturnT = end.value
        return result


def ready(kind: str = WAN_IP_1, public: str = "203.0.113.9") -> Router:
    return Router(Service(kind, Place(PLACE.server, "/ctl/IPConn")), public)


def map_at(router: LittleIgd | None, kind: str = WAN_IP_1, external: Address | None = None) -> Grant | Refusal:
    return talk(igd.map_port(ready(kind), INTERNAL, random=random.Random(1).randbytes, external=external), router)


def refusal(reason: str) -> Refusal:
    return Refusal(Protocol.UPNP, reason)


class TestFinding:
    def test_a_connection_that_is_up(self) -> None:
        assert talk(igd.find_router(PLACE), LittleIgd((WAN_IP_2,))) == ready(WAN_IP_2)

    @pytest.mark.parametrize("public", ["0.0.0.0", "", "255.255.255.255", "router", "224.0.0.1"])
    def test_one_that_is_down_has_no_address(self, public: str) -> None:
        told = talk(igd.find_router(PLACE), LittleIgd(public=public))
        assert told == refusal("no connection has a public address")

    def test_a_device_that_is_no_router(self) -> None:
        assert talk(igd.find_router(PLACE), LittleIgd(())) == refusal("no connection is offered")

    def test_a_device_that_does_not_answer(self) -> None:
        assert talk(igd.find_router(PLACE), None) == refusal("the description can't be read")
        elsewhere = Place(PLACE.server, "/other.xml")
        assert talk(igd.find_router(elsewhere), LittleIgd()) == refusal("the description can't be read")

    def test_a_description_that_makes_no_sense(self) -> None:
        conversation = igd.find_router(PLACE)
        next(conversation)
        with pytest.raises(StopIteration) as end:
            conversation.send(Answer(200, {}, b"<!DOCTYPE x><x/>"))
        assert end.value.value == refusal("the description makes no sense")


class TestMapping:
    def test_our_own_port_number_if_it_is_free(self) -> None:
        router = LittleIgd()
        assert map_at(router) == Grant(Address("203.0.113.9", 50_000), float(LIFETIME))
        assert router.mappings == {50_000: ("192.168.1.2", 50_000, LIFETIME)}

    def test_another_one_if_it_is_taken(self) -> None:
        router = LittleIgd(taken={50_000})
        got = map_at(router)
        assert isinstance(got, Grant)
        assert got.external.port != 50_000
        assert got.external.port in router.mappings

    def test_version_2_chooses_another_one_itself(self) -> None:
        router = LittleIgd((WAN_IP_2,), taken={50_000, 50_001})
        got = map_at(router, WAN_IP_2)
        assert got == Grant(Address("203.0.113.9", 50_002), float(LIFETIME))
        assert router.calls == ["AddAnyPortMapping"]

    def test_version_2_that_does_not_is_asked_the_old_way(self) -> None:
        router = LittleIgd((WAN_IP_2,), knows_any=False)
        assert isinstance(map_at(router, WAN_IP_2), Grant)
        assert router.calls == ["AddAnyPortMapping", "AddPortMapping"]

    def test_a_router_without_leases_keeps_it_for_ever(self) -> None:
        router = LittleIgd(permanent_only=True)
        assert map_at(router) == Grant(Address("203.0.113.9", 50_000), float(LONGEST))
        assert router.mappings[50_000][2] == 0

    def test_a_router_that_only_maps_a_port_to_itself(self) -> None:
        got = map_at(LittleIgd(same_port_only=True), external=Address("203.0.113.9", 6000))
        assert isinstance(got, Grant)
        assert got.external.port == 50_000

    def test_a_renewal_asks_for_what_is_held(self) -> None:
        router = LittleIgd()
        got = map_at(router, external=Address("203.0.113.9", 6000))
        assert isinstance(got, Grant)
        assert got.external.port == 6000

    def test_a_router_where_everything_is_taken(self) -> None:
        assert map_at(LittleIgd(taken=set(range(65536)))) == refusal("every port asked for is taken")

    def test_a_router_that_refuses_both(self) -> None:
        told = map_at(LittleIgd(same_port_only=True, taken={50_000}), external=Address("203.0.113.9", 50_000))
        assert isinstance(told, Refusal)

    def test_a_router_that_falls_silent(self) -> None:
        assert map_at(None) == refusal("no answer (0)")

    def test_giving_back(self) -> None:
        router = LittleIgd()
        map_at(router)
        assert talk(igd.unmap_port(ready(), Address("203.0.113.9", 50_000)), router)
        assert router.mappings == {}
        assert talk(igd.unmap_port(ready(), Address("203.0.113.9", 50_000)), router)  # it is gone already
        assert not talk(igd.unmap_port(ready(), Address("203.0.113.9", 50_000)), None)

    @given(code=st.integers(0, 999), any_port=st.booleans(), lifetime=st.sampled_from([0, LIFETIME]))
    def test_no_fault_makes_a_wish_go_round_in_circles(self, code: int, lifetime: int, *, any_port: bool) -> None:
        wish: igd.Wish | None = igd.Wish(50_000, lifetime, any_port)
        seen = set()
        while wish is not None and code not in {718, 729}:
            assert wish not in seen
            seen.add(wish)
            wish = igd.next_wish(wish, Fault(code, ""), 50_000, random.Random(1).randbytes)


def test_an_errand_is_a_page_or_a_call() -> None:
    first = next(igd.find_router(PLACE))
    second = next(igd.map_port(ready(), INTERNAL, random=random.Random(1).randbytes))
    assert isinstance(first, Get)
    assert isinstance(second, Post)
