"""The TCP port of a relay, for members that no datagram reaches."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Final, NamedTuple

from clawchat.net.driver import Node
from clawchat.net.socket_errors import error_name
from clawchat.net.socket_options import SYSTEM
from clawchat.net.websocket_caller import Caller
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError

LOOK_SECONDS: Final = 5.0
"""How often it is looked which WebSockets are in use."""

UNUSED_SECONDS: Final = 30.0
"""A WebSocket that carries no session for this long is closed."""

IPV6_SITE: Final = 64
"""The leading bits of an IPv6 address that one subscriber has at least (RFC 6177)."""


class ListenerFigures(NamedTuple):
    """What a listener did."""

    connections: int
    websockets: int
    refused: int
    strangers: int
    dropped: int


class Listener:
    """Take WebSockets, and make each a port of a node.

    ``doors`` are the names that members ask for. At most ``total`` callers are here at once, and at most
    ``per_address`` from one address, or from one network of IPv6.
    """

    def __init__(self, node: Node, doors: Collection[str], *, total: int, per_address: int) -> None:
        self._node = node
        self._doors = frozenset(doors)
        self._total = total
        self._per_address = per_address
        self._callers: set[Caller] = set()
        self._by_site: Counter[str] = Counter()
        self._refused = 0
        self._strangers = 0
        self._dropped = 0
        self._server: asyncio.Server | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def start(self, address: Address, tls: ssl.SSLContext | None) -> Address:
        """Listen; return where. Raises PersonalError: CC-PORT-BUSY, CC-ADDRESS."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Caller(self, tls), address.host, address.port)
        except OSError as error:
            busy = error_name(SYSTEM, error.errno) == "EADDRINUSE"
            cause = f"can't listen on TCP port {address}: {error.strerror or error}"
            raise PersonalError("CC-PORT-BUSY" if busy else "CC-ADDRESS", cause) from error
        self._timer = loop.call_later(LOOK_SECONDS, self._look)
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address.make(host, port)

    def close(self) -> None:
        """Hang up on everybody, and listen no more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        for caller in list(self._callers):
            caller.close()

    def figures(self) -> ListenerFigures:
        """Return what was done so far."""
        opened = [caller for caller in self._callers if caller.path is not None]
        dropped = self._dropped + sum(caller.outbox.dropped for caller in opened)
        return ListenerFigures(len(self._callers), len(opened), self._refused, self._strangers, dropped)

    # --- for callers -------------------------------------------------------------------------------

    @property
    def arrived(self) -> Callable[[bytes, Path], None]:
        """Take in a datagram."""
        return self._node.arrived

    def admit(self, caller: Caller) -> bool:
        """Take note of a caller, unless there are too many."""
        site = _site(caller.address.host)
        if len(self._callers) >= self._total or self._by_site[site] >= self._per_address:
            self._refused += 1
            return False
        self._callers.add(caller)
        self._by_site[site] += 1
        return True

    def knows(self, path: str) -> bool:
        """Tell whether a path ends with the name of a door."""
        return path.rpartition("/")[2] in self._doors

    def turned_away(self) -> None:
        """Count a stranger."""
        self._strangers += 1

    def opened(self, caller: Caller) -> Path:
        """Give a caller that has upgraded a port."""
        return Path(self._node.open_tunnel(caller), caller.address)

    def left(self, caller: Caller) -> None:
        """Forget a caller."""
        if caller not in self._callers:
            return
        self._callers.remove(caller)
        site = _site(caller.address.host)
        self._by_site[site] -= 1
        if not self._by_site[site]:
            del self._by_site[site]
        self._dropped += caller.outbox.dropped
        if caller.path is not None:
            self._node.close_tunnel(caller.path.port)

    def _look(self) -> None:
        """Close WebSockets that carry no session: those of strangers who know a door, and of members who left."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        now = time.monotonic()
        used = {session.path.port for session in self._node.endpoint.sessions.values()}
        for caller in list(self._callers):
            if caller.path is None:
                continue
            if caller.path.port in used:
                caller.used_at = now
            elif now - caller.used_at > UNUSED_SECONDS:
                caller.close()


def _site(host: str) -> str:
    """Return the part of an address that stands for one subscriber."""
    if ":" not in host:
        return host
    return str(ipaddress.ip_network((host, IPV6_SITE), strict=False))
