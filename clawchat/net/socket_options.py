"""The socket options we ask for, by system, and how each is asked for without insisting.

The numbers stand here because ``socket`` names only some of them, and only on the system they belong to.
An option that a system refuses is done without; what is in force is reported, never assumed.
"""

from __future__ import annotations

import socket
import struct
import sys
from array import array
from typing import Final, NamedTuple, Protocol

from clawchat.nat.stun import MAGIC
from clawchat.net.socket_errors import System, system_of
from clawchat.values.limits import MAX_DATAGRAM, MIN_PACKET

SYSTEM: Final = system_of(sys.platform)

BUFFER_BYTES: Final = 4 << 20
"""What we ask for each way: 10 ms at 3 Gbit/s, so that a turn of the event loop loses nothing."""

SMALLEST_BUFFER_BYTES: Final = 64 << 10
"""Below this asking again makes no difference."""

SO_SNDBUFFORCE: Final = 32
SO_RCVBUFFORCE: Final = 33
SO_ATTACH_FILTER: Final = 26
SO_MEMINFO: Final = 55
SK_MEMINFO_DROPS: Final = 8
"""Linux, include/uapi/asm-generic/socket.h and linux/sock_diag.h."""

SOL_UDP: Final = 17
UDP_SEGMENT: Final = 103
UDP_GRO: Final = 104
"""Linux, include/uapi/linux/udp.h."""

IPPROTO_IP: Final = 0
IPPROTO_IPV6: Final = 41

UDP_HEADER: Final = 8
"""A socket filter sees the datagram with its UDP header."""

STUN_COOKIE_AT: Final = 4
"""Where the magic cookie stands in a STUN message (RFC 8489 section 5)."""


class Option(NamedTuple):
    """A socket option and its value."""

    level: int
    name: int
    value: int


class Family(NamedTuple):
    """How one system does things for one IP version; None where it can't."""

    dont_fragment: Option
    """Datagrams are never fragmented, and the kernel's own idea of the path MTU is not asked."""

    error_queue: Option | None
    """ICMP messages are told with the destination they are about, and with who sent them."""

    hop_limit: tuple[int, int] | None
    """The control message that sets one datagram's TTL."""


_LINUX: Final = (
    Family(Option(IPPROTO_IP, 10, 3), Option(IPPROTO_IP, 11, 1), (IPPROTO_IP, 2)),
    Family(Option(IPPROTO_IPV6, 23, 3), Option(IPPROTO_IPV6, 25, 1), (IPPROTO_IPV6, 52)),
)
"""IP_MTU_DISCOVER = IP_PMTUDISC_PROBE, IP_RECVERR, IP_TTL; and the same of IPv6 (ip(7), ipv6(7))."""

_BSD: Final = (
    Family(Option(IPPROTO_IP, 28, 1), None, None),
    Family(Option(IPPROTO_IPV6, 62, 1), None, None),
)
"""macOS: IP_DONTFRAG, IPV6_DONTFRAG."""

_WINDOWS: Final = (
    Family(Option(IPPROTO_IP, 14, 1), None, None),
    Family(Option(IPPROTO_IPV6, 14, 1), None, None),
)
"""IP_DONTFRAGMENT, IPV6_DONTFRAG."""

FAMILIES: Final = {System.LINUX: _LINUX, System.BSD: _BSD, System.WINDOWS: _WINDOWS}
"""For each system: IPv4, IPv6."""


class Settable(Protocol):
    """The part of a socket that options need."""

    def setsockopt(self, level: int, name: int, value: int | bytes, /) -> None:
        """Set an option."""


class Socket(Settable, Protocol):
    """The part of a socket that its buffers and offloads need; tests stand in for it."""

    def getsockopt(self, level: int, name: int, /) -> int:
        """Read an option."""


def ask(sock: Settable, option: Option) -> bool:
    """Set an option; tell whether the system agreed."""
    try:
        sock.setsockopt(*option)
    except OSError:
        return False
    return True


def ask_buffer(sock: Socket, name: int, force: int, *, system: System = SYSTEM) -> int:
    """Ask for ``BUFFER_BYTES`` of socket buffer, by right where we have it; return the bytes granted."""
    if system is not System.LINUX or not ask(sock, Option(socket.SOL_SOCKET, force, BUFFER_BYTES)):
        size = BUFFER_BYTES
        # Linux grants what it allows; the BSDs refuse what is too much
        while not ask(sock, Option(socket.SOL_SOCKET, name, size)) and size > SMALLEST_BUFFER_BYTES:
            size //= 2
    granted = sock.getsockopt(socket.SOL_SOCKET, name)
    # Linux reports twice what it grants, for its own bookkeeping (socket(7))
    return granted // 2 if system is System.LINUX else granted


def ask_segmentation(sock: Socket, *, system: System = SYSTEM) -> bool:
    """Tell whether the kernel cuts one send into datagrams (UDP_SEGMENT, Linux 4.18)."""
    if system is not System.LINUX:
        return False
    try:
        sock.getsockopt(SOL_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


def ask_coalescing(sock: Socket, *, system: System = SYSTEM) -> bool:
    """Ask the kernel to hand over datagrams of one sender together (UDP_GRO, Linux 5.0)."""
    return system is System.LINUX and ask(sock, Option(SOL_UDP, UDP_GRO, 1))


def junk_filter(*, coalesced: bool) -> list[tuple[int, int, int, int]]:
    """Return a classic BPF program that keeps datagrams of possible lengths only, and short answers of STUN servers.

    The kernel runs it on what it will hand over: single datagrams, or, with UDP_GRO, several coalesced
    ones as a whole, so that the upper bound holds only when they come one by one.
    """
    load_length = (0x80, 0, 0, 0)  # BPF_LD | BPF_W | BPF_LEN
    load_cookie = (0x20, 0, 0, UDP_HEADER + STUN_COOKIE_AT)  # BPF_LD | BPF_W | BPF_ABS
    keep, drop = (0x06, 0, 0, 0xFFFF_FFFF), (0x06, 0, 0, 0)  # BPF_RET | BPF_K
    shortest, longest = MIN_PACKET + UDP_HEADER, MAX_DATAGRAM + UDP_HEADER
    # BPF_JMP | BPF_JGT or BPF_JGE or BPF_JEQ: how many instructions to skip if so, and if not
    too_long = [] if coalesced else [(0x25, 4, 0, longest)]
    return [load_length, *too_long, (0x35, 2, 0, shortest), load_cookie, (0x15, 0, 1, MAGIC), keep, drop]


def ask_filter(sock: Settable, *, coalesced: bool, system: System = SYSTEM) -> bool:
    """Let the kernel drop datagrams of impossible lengths, at no cost to this process."""
    if system is not System.LINUX:
        return False
    program = junk_filter(coalesced=coalesced)
    code = array("B", b"".join(struct.pack("HBBI", *instruction) for instruction in program))
    address, _ = code.buffer_info()
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), address))
    except OSError:
        return False
    return True
