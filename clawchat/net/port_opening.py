"""Open UDP ports: bind, ask for every ability the system has, and say in a person's words why it failed."""

from __future__ import annotations

import secrets
import socket
from typing import Final

from clawchat.net.socket_errors import System, error_name
from clawchat.net.socket_options import (
    FAMILIES,
    IPPROTO_IP,
    IPPROTO_IPV6,
    SO_RCVBUFFORCE,
    SO_SNDBUFFORCE,
    SYSTEM,
    Option,
    ask,
    ask_buffer,
    ask_coalescing,
    ask_filter,
    ask_segmentation,
)
from clawchat.net.sockets import Abilities, UdpPort
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError

RANDOM_PORTS: Final = range(49152, 65536)
"""The dynamic ports (RFC 6335 section 6); a port is never derived from a secret."""

RANDOM_TRIES: Final = 32
"""After this many busy or reserved random ports the system may choose."""

_TAKEN: Final = frozenset({"EADDRINUSE", "EACCES"})
"""Another random port may do: this one is in use, or Windows keeps it for itself."""


def open_port(handle: int, address: Address, *, offload: bool | None = None) -> UdpPort:
    """Open a port on ``address``; port 0 means a random one.

    ``offload``: True and None use what the kernel has, False does without. Raises PersonalError.
    """
    choices = [address.port] if address.port else [*_random_ports(), 0]
    last = len(choices) - 1
    for index, number in enumerate(choices):
        sock = _make_socket(address)
        try:
            sock.bind((address.host, number))
        except OSError as error:
            sock.close()
            if index == last or error_name(SYSTEM, error.errno) not in _TAKEN:
                raise bind_error(address, error_name(SYSTEM, error.errno), error.strerror or str(error)) from error
        else:
            return _make_port(sock, handle, offload=offload)
    raise AssertionError("the last choice returns or raises")


def bind_error(address: Address, name: str, words: str) -> PersonalError:
    """Say why a port could not be opened."""
    code = "CC-PORT-BUSY" if name == "EADDRINUSE" else "CC-ADDRESS"
    return PersonalError(code, f"can't open UDP port {address}: {words}")


def _random_ports() -> list[int]:
    return [secrets.choice(RANDOM_PORTS) for _ in range(RANDOM_TRIES)]


def _make_socket(address: Address) -> socket.socket:
    family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise bind_error(address, error_name(SYSTEM, error.errno), error.strerror or str(error)) from error
    sock.setblocking(False)
    if address.is_ipv6:
        # one port speaks one IP version, so that an address means the same everywhere
        ask(sock, Option(IPPROTO_IPV6, socket.IPV6_V6ONLY, 1))
    if SYSTEM is System.WINDOWS:
        # elsewhere nobody else can bind a port that is in use
        ask(sock, Option(socket.SOL_SOCKET, ~socket.SO_REUSEADDR, 1))  # SO_EXCLUSIVEADDRUSE
    return sock


def _make_port(sock: socket.socket, handle: int, *, offload: bool | None) -> UdpPort:
    host, number = sock.getsockname()[:2]
    address = Address.make(host, number)
    family = FAMILIES[SYSTEM][address.is_ipv6]
    coalescing = offload is not False and ask_coalescing(sock)
    if address.is_ipv6:
        level, name = IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS
    else:
        level, name = IPPROTO_IP, socket.IP_TTL
    abilities = Abilities(
        send_buffer=ask_buffer(sock, socket.SO_SNDBUF, SO_SNDBUFFORCE),
        receive_buffer=ask_buffer(sock, socket.SO_RCVBUF, SO_RCVBUFFORCE),
        segmentation=offload is not False and ask_segmentation(sock),
        coalescing=coalescing,
        filtered=ask_filter(sock, coalesced=coalescing),
        unfragmented=ask(sock, family.dont_fragment),
        error_queue=family.error_queue is not None and ask(sock, family.error_queue),
        default_ttl=Option(level, name, sock.getsockopt(level, name)),
    )
    return UdpPort(sock, handle, address, abilities)
