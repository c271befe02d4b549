"""Notice when this machine's addresses change: at once where the kernel tells, else by looking now and then."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from clawchat.net.interfaces import host_addresses, routed_addresses
from clawchat.net.socket_errors import System
from clawchat.net.socket_options import SYSTEM

LOOK_SECONDS: Final = 3.0
"""How often to look where the kernel does not tell."""

SETTLE_SECONDS: Final = 0.1
"""Changes come in bursts: a new network is an address lost, a link, an address won, a route."""

_AF_NETLINK: Final = 16
_NETLINK_ROUTE: Final = 0
_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE (linux/rtnetlink.h)."""

_MESSAGE_BYTES: Final = 64 << 10
_MAX_READS: Final = 64


def addresses_now() -> list[str]:
    """Return our addresses and, once more, those our traffic leaves from: either may change without the other.

    A link that is down keeps its addresses, but nothing leaves from them.
    """
    return [*host_addresses(), *routed_addresses()]


class NetworkWatch:
    """Call ``on_change`` on the event loop whenever the addresses a peer could reach have changed."""

    __slots__ = ("_handle", "_known", "_look_up", "_loop", "_on_change", "_socket")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_change: Callable[[], None],
        *,
        look_up: Callable[[], list[str]] = addresses_now,
        told: bool = SYSTEM is System.LINUX,
    ) -> None:
        self._loop = loop
        self._on_change = on_change
        self._look_up = look_up
        self._known = sorted(look_up())
        self._handle: asyncio.TimerHandle | None = None
        self._socket = _listen() if told else None
        if self._socket is not None:
            loop.add_reader(self._socket.fileno(), self._on_message)
        else:
            self._handle = loop.call_later(LOOK_SECONDS, self._look)

    def stop(self) -> None:
        """Watch no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _on_message(self) -> None:
        """Look soon; what the messages say does not matter."""
        if self._socket is None:
            return
        for _ in range(_MAX_READS):
            try:
                self._socket.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                continue  # some were lost (ENOBUFS), which says as much as reading them
        if self._handle is None:
            self._handle = self._loop.call_later(SETTLE_SECONDS, self._look)

    def _look(self) -> None:
        self._handle = None if self._socket is not None else self._loop.call_later(LOOK_SECONDS, self._look)
        addresses = sorted(self._look_up())
        if addresses != self._known:
            self._known = addresses
            self._on_change()


def _listen() -> socket.socket | None:
    """Subscribe to the kernel's news about links, addresses and routes; None where it isn't allowed (Android)."""
    try:
        sock = socket.socket(_AF_NETLINK, socket.SOCK_RAW, _NETLINK_ROUTE)
    except OSError:
        return None
    try:
        sock.setblocking(False)
        sock.bind((0, _GROUPS))
    except OSError:
        sock.close()
        return None
    return sock
