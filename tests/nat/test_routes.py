from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat import routes

PROC = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan0\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
tun0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
eth0\t0000000A\t0101A8C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0
"""
IP_ROUTE = """\
default via 192.168.2.1 dev wlan0 proto dhcp src 192.168.2.7 metric 600
default via 192.168.1.1 dev eth0 proto dhcp metric 100
default dev tun0 scope link
192.168.1.0/24 dev eth0 proto kernel scope link src 192.168.1.7
"""
NETSTAT = """\
Routing tables

Internet:
Destination        Gateway            Flags               Netif Expire
default            192.168.1.1        UGScg                 en0
default            link#14            UCSIg             bridge100
127                127.0.0.1          UCS                   lo0
192.168.1          link#6             UCS                   en0      !
"""
ROUTE_PRINT = """\
===========================================================================
Schnittstellenliste
 12...00 11 22 33 44 55 ......Intel(R) Ethernet
===========================================================================

IPv4-Routentabelle
===========================================================================
Aktive Routen:
     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik
          0.0.0.0          0.0.0.0      192.168.2.1     192.168.2.23     50
          0.0.0.0          0.0.0.0      192.168.1.1     192.168.1.23     25
          0.0.0.0          0.0.0.0   Auf Verbindung      10.8.0.2        5
        127.0.0.0        255.0.0.0   Auf Verbindung        127.0.0.1    331
===========================================================================
"""


def test_linux_tells_in_hexadecimal() -> None:
    assert routes.from_proc(PROC, "little") == ["192.168.1.1", "192.168.2.1"]


def test_so_does_a_machine_of_the_other_byte_order() -> None:
    text = "h\neth0 00000000 C0A80101 0003 0 0 0 00000000 0 0 0\n"
    assert routes.from_proc(text, "big") == ["192.168.1.1"]


def test_the_ip_command_tells_too() -> None:
    assert routes.from_ip_route(IP_ROUTE) == ["192.168.1.1", "192.168.2.1"]


def test_macos_tells() -> None:
    assert routes.from_netstat(NETSTAT) == ["192.168.1.1"]


def test_windows_tells_in_any_language() -> None:
    assert routes.from_route_print(ROUTE_PRINT) == ["192.168.1.1", "192.168.2.1"]


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    for read in (routes.from_ip_route, routes.from_netstat, routes.from_route_print):
        assert read(text) == []
    assert routes.from_proc(text, "little") == []
