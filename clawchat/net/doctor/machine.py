"""What this machine grants a program: socket buffers, offloads, the size of packets, a network of its own or not."""

from __future__ import annotations

import contextlib
import pathlib
import socket
from collections.abc import Sequence
from typing import Final

from clawchat.nat.scope import is_public
from clawchat.net.doctor.checks import failed, passed, skipped
from clawchat.net.port_opening import open_port
from clawchat.net.socket_errors import System
from clawchat.net.socket_options import BUFFER_BYTES, SYSTEM
from clawchat.net.user_events import Check
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from clawchat.values.limits import BASE_DATAGRAM

KIBI: Final = 1024
UDP_IP_HEADERS: Final = {False: 28, True: 48}
"""Bytes of UDP and IP before our own, by whether it is IPv6."""

IP_MTU: Final = 14
IPV6_MTU: Final = 24
"""What the kernel knows of the way to a connected socket's other end (ip(7), ipv6(7)); nothing is sent."""

CONTAINER_MARKS: Final = (pathlib.Path("/.dockerenv"), pathlib.Path("/run/.containerenv"))
INTERFACES: Final = pathlib.Path("/sys/class/net")
_SYSCTL: Final = f"sysctl -w net.core.rmem_max={BUFFER_BYTES} net.core.wmem_max={BUFFER_BYTES}"


def socket_checks() -> list[Check]:
    """Open a port as the programs do, and look at what the system granted."""
    try:
        port = open_port(0, Address("0.0.0.0", 0))  # noqa: S104 - nothing is sent or awaited on it
    except PersonalError as error:
        return [failed("sockets", error.cause, "Let this program open UDP sockets.", error.code)]
    abilities = port.abilities
    port.close()
    granted = min(abilities.send_buffer, abilities.receive_buffer)
    shown = f"{granted // KIBI} KiB of {BUFFER_BYTES // KIBI} KiB"
    buffers = passed("kernel buffers", shown)
    if granted < BUFFER_BYTES:
        buffers = failed("kernel buffers", f"only {shown}: large transfers may lose packets", f"As root: {_SYSCTL}")
    return [buffers, _offloads(segmentation=abilities.segmentation, coalescing=abilities.coalescing)]


def _offloads(*, segmentation: bool, coalescing: bool) -> Check:
    have = [name for name, there in (("UDP_SEGMENT", segmentation), ("UDP_GRO", coalescing)) if there]
    if SYSTEM is not System.LINUX:
        return skipped("offloads", "only Linux has them; datagrams are sent one by one")
    if segmentation and coalescing:
        return passed("offloads", f"{' and '.join(have)}: batches go through the kernel in one call")
    return failed("offloads", f"the kernel has only {have or 'none'}: transfers are slow", "Use Linux 5.0 or newer.")


def mtu_check(targets: Sequence[Address]) -> Check:
    """Look how large packets towards some addresses may be, as far as the kernel knows."""
    if SYSTEM is not System.LINUX:
        return skipped("MTU", "this system does not tell")
    found = {str(target): size for target in targets if (size := _mtu(target)) is not None}
    if not found:
        return skipped("MTU", "there is no address to look at")
    narrow = {
        str(target): found[str(target)]
        for target in targets
        if found.get(str(target), BASE_DATAGRAM * 2) < BASE_DATAGRAM + UDP_IP_HEADERS[target.is_ipv6]
    }
    if narrow:
        shown = ", ".join(f"{size} towards {target}" for target, size in narrow.items())
        return failed(
            "MTU",
            f"packets may be no larger than {shown}",
            "Raise the MTU of the interface or the VPN to 1280 or more.",
        )
    sizes = sorted(set(found.values()))
    return passed("MTU", " to ".join(str(size) for size in dict.fromkeys((sizes[0], sizes[-1]))) + " bytes")


def _mtu(target: Address) -> int | None:
    family = socket.AF_INET6 if target.is_ipv6 else socket.AF_INET
    level, name = (socket.IPPROTO_IPV6, IPV6_MTU) if target.is_ipv6 else (socket.IPPROTO_IP, IP_MTU)
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((target.host, target.port))
        return probe.getsockopt(level, name)
    return None


def in_container(marks: Sequence[pathlib.Path] = CONTAINER_MARKS) -> bool:
    """Tell whether this program runs in a container."""
    return any(mark.exists() for mark in marks)


def has_own_network(interfaces: pathlib.Path = INTERFACES) -> bool:
    """Tell whether no network interface here is a device, so that all of them end in another network namespace."""
    found = []
    with contextlib.suppress(OSError):
        found = [(each / "device").exists() for each in interfaces.iterdir() if each.name != "lo"]
    return bool(found) and not any(found)


def container_check(hosts: Sequence[str]) -> Check:
    """Look whether a container's own NAT stands between this program and the network."""
    if not in_container():
        return passed("container", "none")
    if has_own_network() and not any(map(is_public, hosts)):
        return failed(
            "container",
            "this program is in a container with a network of its own, whose NAT changes ports and keeps old ones",
            "Give it the host's network: `docker run --network host`, or `network_mode: host`.",
        )
    return passed("container", "yes, with a network that is not translated")
