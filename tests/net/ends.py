"""Two real endpoints on real sockets over loopback."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

from clawchat.crypto.credential import Slot, make_slot
from clawchat.net.connection import Connection, connect
from clawchat.net.driver import Node
from clawchat.net.loop import run
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.events import Event, Role, SessionOpened

LOOPBACK = Address("127.0.0.1", 0)


def slot_for(*candidates: Address) -> Slot:
    return make_slot(
        os.urandom,
        name="test",
        hello_header_key=os.urandom(32),
        candidates=candidates,
        relays=(),
        timestamp=0,
        validity=1 << 40,
    )


class Host:
    """A node with an endpoint, and the connections it answered."""

    def __init__(self, *, offload: bool | None) -> None:
        self.endpoint = Endpoint(random=os.urandom)
        self.node = Node(self.endpoint, on_event=self._on_event, offload=offload, watch=False)
        self.events: list[Event] = []
        self.answered: asyncio.Queue[Connection] = asyncio.Queue()
        self.on_connection: Callable[[Connection], None] = self.answered.put_nowait
        self.port = -1

    async def open(self) -> Host:
        self.port = await self.node.open_port(LOOPBACK)
        return self

    @property
    def address(self) -> Address:
        return self.node.ports[self.port].address

    def invite(self) -> Slot:
        slot = slot_for(self.address)
        self.endpoint.arm(slot, deadline=time.monotonic() + 60)
        return slot

    def _on_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, SessionOpened) and event.role is Role.RESPONDER:
            self.on_connection(Connection(self.node, self.endpoint.sessions[event.session]))


Body = Callable[[Connection, Connection], Coroutine[Any, Any, None]]


def joined(body: Body, *, offload: bool | None = None) -> None:
    """Run ``body`` with the two ends of a session: the client's and the server's."""

    async def main() -> None:
        server, client = await Host(offload=offload).open(), await Host(offload=offload).open()
        try:
            connection = await connect(client.node, server.invite().credential, port=client.port, timeout=10)
            async with asyncio.timeout(30):
                await body(connection, await server.answered.get())
        finally:
            await asyncio.gather(client.node.close(), server.node.close())

    run(main())
