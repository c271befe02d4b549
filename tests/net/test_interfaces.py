from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from clawchat.net import interfaces as module
from clawchat.net.interfaces import Interface, host_addresses, host_candidates, interfaces, routed_addresses
from clawchat.net.loop import run
from clawchat.net.network_watch import NetworkWatch
from clawchat.values.address import Address

LOOPBACK = Interface("lo", "lo", ("127.0.0.1", "::1"))
CABLE = Interface("eth0", "eth0", ("192.168.1.5", "fe80::1", "2001:db8::5"))
TUNNEL = Interface("wg0", "wg0", ("10.9.0.2", "fd00:9::2"))


def test_our_networks_come_first_tunnels_last_and_ipv6_before_ipv4() -> None:
    assert host_addresses([LOOPBACK, TUNNEL, CABLE]) == ["2001:db8::5", "192.168.1.5", "fd00:9::2", "10.9.0.2"]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("docker0", "docker0"),
        ("br-0123456789ab", "br-0123456789ab"),
        ("veth12ab", "veth12ab"),
        ("virbr0", "virbr0"),
        ("cni0", "cni0"),
        ("bridge100", "bridge100"),
        ("{guid}", "vEthernet (WSL)"),
        ("{guid}", "VirtualBox Host-Only Ethernet Adapter"),
    ],
)
def test_networks_inside_this_machine_are_left_out(name: str, label: str) -> None:
    assert host_addresses([Interface(name, label, ("172.17.0.1",)), CABLE]) == ["2001:db8::5", "192.168.1.5"]


@pytest.mark.parametrize("label", ["tun0", "utun4", "tailscale0", "ppp0", "WireGuard Tunnel", "TAP-Windows Adapter V9"])
def test_tunnels_are_known_by_their_names(label: str) -> None:
    assert host_addresses([Interface("x", label, ("10.1.1.1",)), CABLE])[-1] == "10.1.1.1"


def test_a_bridge_of_our_own_is_a_network_like_any_other() -> None:
    assert host_addresses([Interface("br0", "br0", ("192.168.7.1",))]) == ["192.168.7.1"]


def test_loopback_stands_in_when_there_is_nothing_else() -> None:
    alone = [LOOPBACK, Interface("eth0", "eth0", ("fe80::1", "169.254.3.4"))]
    assert host_addresses(alone) == ["127.0.0.1", "::1"]
    assert host_addresses([]) == []


def test_zones_and_doubles_are_dropped() -> None:
    found = [Interface("a", "a", ("2001:db8::5%eth0", "192.168.1.5")), Interface("b", "b", ("192.168.1.5",))]
    assert host_addresses(found) == ["2001:db8::5", "192.168.1.5"]


@pytest.mark.parametrize(
    ("port", "candidates"),
    [
        (Address("0.0.0.0", 5), [Address("192.168.1.5", 5)]),
        (Address("::", 5), [Address("2001:db8::5", 5)]),
        (Address("192.168.1.5", 5), [Address("192.168.1.5", 5)]),
    ],
)
def test_candidates_are_of_the_ports_ip_version(port: Address, candidates: list[Address]) -> None:
    assert host_candidates(port, [CABLE]) == candidates


def test_this_machine_has_addresses() -> None:
    assert interfaces()
    for text in [*host_addresses(), *routed_addresses()]:
        Address.make(text, 1)


def test_a_system_that_lists_nothing_still_has_a_route(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "interfaces", list)
    monkeypatch.setattr(module, "routed_addresses", lambda: ["192.168.1.9"])
    assert host_addresses() == ["192.168.1.9"]


def test_a_change_of_addresses_is_told_once() -> None:
    async def main() -> None:
        addresses = ["192.168.1.5"]
        told = asyncio.Event()
        changes = 0

        def on_change() -> None:
            nonlocal changes
            changes += 1
            told.set()

        watch = NetworkWatch(asyncio.get_running_loop(), on_change, look_up=lambda: list(addresses), told=False)
        watch._look()  # noqa: SLF001 - instead of waiting for seconds
        assert changes == 0
        addresses.append("192.168.2.6")
        watch._look()  # noqa: SLF001 - the same
        watch._look()  # noqa: SLF001 - the same
        assert changes == 1
        watch.stop()
        watch.stop()

    run(main())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_the_kernels_news_make_it_look() -> None:
    async def main() -> None:
        looked = 0

        def look_up() -> list[str]:
            nonlocal looked
            looked += 1
            return []

        watch = NetworkWatch(asyncio.get_running_loop(), lambda: None, look_up=look_up)
        assert looked == 1
        told = watch._socket  # noqa: SLF001 - to be the kernel
        assert told is not None
        with socket.socket(16, socket.SOCK_RAW, 0) as kernel:
            kernel.bind((0, 0))
            kernel.sendto(bytes(32), (told.getsockname()[0], 0))
        end = asyncio.get_running_loop().time() + 5
        while looked == 1:
            assert asyncio.get_running_loop().time() < end
            await asyncio.sleep(0.01)
        watch.stop()

    run(main())
