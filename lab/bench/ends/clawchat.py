"""ClawChat itself, through the surface that its programs use."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import resource
import time
from collections.abc import Mapping
from pathlib import Path

from clawchat.crypto.credential import Slot, make_slot
from clawchat.net.connection import Connection, connect
from clawchat.net.driver import Node
from clawchat.net.loop import run
from clawchat.net.stream import Stream
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.events import Event, SessionOpened
from lab.bench.ends.command import actions_for, obey
from lab.bench.ends.workload import ECHO, Answer, Pipe

SEED = 20
"""Both ends make the same credential from it, so that none has to be handed over; it guards nothing."""

CONNECT_TIMEOUT = 10.0
CROWD_AT_ONCE = 32
"""Handshakes under way at once while a crowd gathers."""

UNBOUNDED = EndpointConfig(handshake_rate=1e9, handshake_burst=10**9, max_half_open=10**6)
"""The budget that slows handshakes down protects a real server; here it would be measured instead of them."""


def shared_slot(host: str, port: int) -> Slot:
    """Make the reusable slot that both ends know."""
    chance = random.Random(SEED)
    return make_slot(
        chance.randbytes,
        name="bench",
        hello_header_key=chance.randbytes(32),
        candidates=[Address.make(host, port)],
        relays=(),
        timestamp=0,
        validity=1 << 40,
        reusable=True,
    )


def _attend(stream: Stream) -> None:
    answer = Answer()

    def on_readable(readable: Stream) -> None:
        data = readable.read_now()
        if data and (reply := answer.feed(data)):
            readable.write_now(bytes(reply))

    stream.on_readable = on_readable


def resident_mb() -> float:
    """Return how much memory this program occupies now, in 10^6 bytes."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


async def serve(host: str, port: int, *, offload: bool) -> None:
    """Answer every stream and datagram, and tell the harness our own figures when asked."""
    endpoint = Endpoint(random=os.urandom, config=UNBOUNDED)

    def on_event(event: Event) -> None:
        if isinstance(event, SessionOpened):
            connection = Connection(node, endpoint.sessions[event.session])
            connection.on_stream = _attend
            connection.on_datagram = connection.send_datagram

    node = Node(endpoint, on_event=on_event, offload=offload, watch=False)
    handle = await node.open_port(Address.make(host, port))
    endpoint.arm(shared_slot(host, port), deadline=time.monotonic() + 86_400)

    async def figures(_: float) -> Mapping[str, float]:
        return {
            "refused": endpoint.drops.total(),
            "dropped_by_kernel": node.ports[handle].dropped() or 0,
            "sessions": len(endpoint.sessions),
            "resident_mb": resident_mb(),
            "cpu_s": time.process_time(),
        }

    await obey({"figures": figures})


class StreamPipe:
    """One stream of a session of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stream = connection.open_stream()

    async def send(self, data: bytes) -> None:
        """Write, waiting for room."""
        await self._stream.write(data)

    async def receive(self) -> bytes:
        """Wait for bytes."""
        data = await self._stream.read()
        if not data:
            raise ConnectionResetError("the server ended the stream")
        return data

    async def close(self) -> None:
        """End the session; its farewell leaves by itself."""
        self._connection.close()


class DatagramPipe:
    """Unreliable messages of a session of its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._reply: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.on_datagram = self._on_datagram

    def _on_datagram(self, data: bytes) -> None:
        if not self._reply.done():
            self._reply.set_result(data)

    async def send(self, data: bytes) -> None:
        """Send one message and get ready for its answer."""
        self._reply = asyncio.get_running_loop().create_future()
        self._connection.send_datagram(data)

    async def receive(self) -> bytes:
        """Wait for the answer."""
        return await self._reply

    async def close(self) -> None:
        """End the session."""
        self._connection.close()


async def measure(host: str, port: int, *, offload: bool, datagrams: bool) -> None:
    """Carry out the harness's commands; besides the usual ones, `crowd COUNT` opens sessions and keeps them."""
    node = Node(Endpoint(random=os.urandom), on_event=lambda _: None, offload=offload, watch=False)
    handle = await node.open_port(Address("0.0.0.0", 0))  # noqa: S104 - inside a namespace of our own
    slot = shared_slot(host, port)
    kept: list[Connection] = []

    async def join() -> Connection:
        return await connect(node, slot.credential, port=handle, timeout=CONNECT_TIMEOUT)

    async def open_pipe() -> Pipe:
        return DatagramPipe(await join()) if datagrams else StreamPipe(await join())

    async def crowd(count: float) -> Mapping[str, float]:
        begun = time.monotonic()
        while len(kept) < count:
            kept.extend(await asyncio.gather(*(join() for _ in range(min(CROWD_AT_ONCE, int(count) - len(kept))))))
        return {"sessions": len(kept), "seconds": time.monotonic() - begun}

    await obey({**actions_for(open_pipe, opening=b"" if datagrams else ECHO), "crowd": crowd})


def main() -> None:
    """Run as `server` or `client`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--no-offload", dest="offload", action="store_false")
    parser.add_argument("--datagrams", action="store_true")
    given = parser.parse_args()
    if given.role == "server":
        run(serve(given.host, given.port, offload=given.offload))
    else:
        run(measure(given.host, given.port, offload=given.offload, datagrams=given.datagrams))


if __name__ == "__main__":
    main()
