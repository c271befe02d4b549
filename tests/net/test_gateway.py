from __future__ import annotations

import asyncio
import ipaddress

import pytest

from clawchat.nat.portmap.lease import Gateway
from clawchat.net import gateway
from clawchat.net.gateway import NoGateway, choose_gateway, find_gateway

ANY = ipaddress.IPv4Address("0.0.0.0")
HOME = ipaddress.IPv4Interface("192.168.1.7/24")
LAB = ipaddress.IPv4Interface("10.1.2.3/16")


def choose(
    *gateways: str,
    bound: str = "0.0.0.0",
    interfaces: tuple[ipaddress.IPv4Interface, ...] = (HOME, LAB),
    local: str | None = "192.168.1.7",
) -> Gateway | NoGateway:
    return choose_gateway(ipaddress.IPv4Address(bound), gateways, interfaces, lambda _: local)


def test_the_best_gateway_with_our_address_and_network() -> None:
    assert choose("192.168.1.1", "10.1.0.1") == Gateway("192.168.1.1", "192.168.1.7", HOME.network)


def test_a_network_that_is_not_told_is_taken_for_a_usual_one() -> None:
    assert choose("192.168.1.1", interfaces=()) == Gateway("192.168.1.1", "192.168.1.7", HOME.network)


def test_a_bound_port_has_the_gateway_of_its_network() -> None:
    assert choose("192.168.1.1", "10.1.0.1", bound="10.1.2.3") == Gateway("10.1.0.1", "10.1.2.3", LAB.network)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (choose(), "no default gateway is known"),
        (choose("192.168.1.1", local=None), "no default gateway is known"),
        (choose("192.168.1.1", local="192.168.1.1"), "no default gateway is known"),
        (choose("203.0.113.1", local="203.0.113.7"), "this machine's own address is public"),
        (choose("192.168.1.1", bound="10.1.2.3"), "the default gateway is not in the network of 10.1.2.3"),
    ],
)
def test_no_gateway_has_a_reason(found: Gateway | NoGateway, reason: str) -> None:
    assert found == NoGateway(reason)


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        ("127.0.0.1", "the port is for this machine only"),
        ("::1", "the port is for this machine only"),
        ("::", "the port is an IPv6 one, which needs no mapping"),
        ("203.0.113.7", "this machine's own address is public"),
    ],
)
def test_some_ports_need_no_router(host: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody_asks() -> list[str]:
        raise AssertionError("the system was asked")

    monkeypatch.setattr(gateway, "_gateways", nobody_asks)
    assert asyncio.run(find_gateway(host)) == NoGateway(reason)


def test_this_machine_has_addresses_with_networks() -> None:
    found = gateway.own_interfaces()
    assert any(each.ip.is_loopback and each.network.prefixlen == 8 for each in found)
