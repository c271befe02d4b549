"""A WebSocket to a relay: sealed datagrams, one a binary message, where a network lets nothing but TCP through.

To the endpoint it is one more path: a port of its own, and a remote address without a UDP port. The relay proves
itself in the handshake inside. What TLS there is keeps observers away and proves nothing, so its certificate isn't
looked at: a relay needs no name and no authority, and a network that opens TLS sees what it would see without.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from clawchat.crypto.credential import Credential
from clawchat.crypto.derive import wipe
from clawchat.net.driver import Node
from clawchat.net.tunnel import SILENT, WRITE_BYTES, Outbox, hold_little
from clawchat.session.carried import NOWHERE
from clawchat.values.address import Address, Path
from clawchat.values.errors import UsageError
from clawchat.values.limits import MAX_DATAGRAM
from clawchat.values.websocket import websocket_urls

OPEN_SECONDS: Final = 10.0
"""A relay, or a proxy on the way, that did not open a WebSocket in this time is given up."""

NEXT_SECONDS: Final = 0.25
"""How long one address of a relay is tried alone before the next one is, too (RFC 8305 section 8)."""

MAX_WAITING_MESSAGES: Final = 64
"""How many messages wait here to be read; more wait on the way."""


class WebSocket:
    """A WebSocket that is open, as a port of a node; ``run`` it until it closes."""

    def __init__(self, node: Node, connection: ClientConnection) -> None:
        self._node = node
        self._connection = connection
        self._outbox = Outbox()
        self._filled = asyncio.Event()
        hold_little(connection.transport.get_extra_info("socket"))
        self.path = Path(node.open_tunnel(self), _remote(connection))

    def send(self, data: bytes | memoryview, size: int) -> None:
        """Queue datagrams."""
        self._outbox.put(data, size)
        self._filled.set()

    def close(self) -> None:
        """End; what the connection holds is still sent."""
        self._node.close_tunnel(self.path.port)
        self._connection.transport.close()

    async def run(self) -> None:
        """Take in what arrives, until either end closes."""
        writing = asyncio.create_task(self._write())
        try:
            with contextlib.suppress(ConnectionClosed):
                async for message in self._connection:
                    if isinstance(message, bytes):
                        self._node.arrived(message, self.path)
        finally:
            writing.cancel()
            self.close()

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while await self._filled.wait():
                self._filled.clear()
                while (datagram := self._outbox.take()) is not None:
                    await self._connection.send(datagram)


def urls_of(relay: Credential) -> list[str]:
    """List where a relay takes WebSockets, with the name of its door; nothing if it takes none."""
    if not relay.websocket:
        return []
    keys = relay.keys()
    urls = websocket_urls(relay.websocket, (each.host for each in relay.candidates), bytes(keys.door))
    wipe(*keys)
    return urls


async def dial(node: Node, urls: Sequence[str]) -> WebSocket | None:
    """Open a WebSocket to the first of these places that answers, through a proxy if the system names one."""
    tasks = [asyncio.create_task(_open(url, number * NEXT_SECONDS)) for number, url in enumerate(urls)]
    chosen: ClientConnection | None = None

    def discard(task: asyncio.Task[ClientConnection | None]) -> None:
        found = None if task.cancelled() else task.result()
        if found is not None and found is not chosen:
            found.transport.close()

    try:
        for opening in asyncio.as_completed(tasks):
            chosen = await opening
            if chosen is not None:
                return WebSocket(node, chosen)
        return None
    finally:
        for task in tasks:
            task.add_done_callback(discard)
            task.cancel()


async def _open(url: str, delay: float) -> ClientConnection | None:
    await asyncio.sleep(delay)
    try:
        return await connect(
            url,
            ssl=_context() if url.startswith("wss:") else None,
            compression=None,
            user_agent_header=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=None,  # the session inside keeps itself alive
            max_size=MAX_DATAGRAM,
            max_queue=MAX_WAITING_MESSAGES,
            write_limit=WRITE_BYTES,
            logger=SILENT,
        )
    except Exception:  # noqa: BLE001 - whatever a network, a proxy or a portal answers: there is no WebSocket
        return None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _remote(connection: ClientConnection) -> Address:
    """Return the other end of the TCP connection, be it a proxy, with no UDP port."""
    try:
        return Address.make(connection.remote_address[0], 0)
    except (UsageError, TypeError, IndexError):
        return NOWHERE
