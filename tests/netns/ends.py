"""The two ends of a session as programs of their own, each in the namespace it was started in.

The test gives a command as one JSON object a line, ``{"do": name, ...}``, and gets one or more back.
Run as ``python -m tests.netns.ends server|client HOST PORT``; HOST and PORT are the server's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from clawchat.crypto.credential import Slot, make_slot
from clawchat.net.connection import Connection, connect
from clawchat.net.driver import Node
from clawchat.net.loop import run
from clawchat.net.stream import Stream
from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values import address as addresses
from clawchat.values.address import Address
from clawchat.values.events import ClosePort, Event, OpenPort, Role, SessionOpened
from tests.netns.work import Intake, blocks, expected

ECHO, UPLOAD, DOWNLOAD = b"E", b"U", b"D"
"""A stream begins with what the server is to do with it; after DOWNLOAD follows how many bytes, as a u64."""

SLOTS: Final = 64
KEPT_DATAGRAMS: Final = 4000
Command = Callable[..., Awaitable[dict[str, Any]]]


def slot(number: int, host: str, port: int) -> Slot:
    """Make one of the credentials that both ends know, so that no file has to be carried over."""
    chance = random.Random(number)
    return make_slot(
        chance.randbytes,
        name=f"guest-{number}",
        hello_header_key=random.Random("header").randbytes(32),
        candidates=[Address.make(host, port)],
        relays=(),
        timestamp=0,
        validity=1 << 40,
    )


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


async def obey(commands: dict[str, Command]) -> None:
    """Carry out the commands of standard input, one after the other, until it ends."""
    say(ready=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        asked = json.loads(line)
        say(**await commands[asked.pop("do")](**asked))


class Keep:
    """Keep the first datagrams that pass through a node, for others to repeat."""

    def __init__(self) -> None:
        self.datagrams: list[bytes] = []

    def _keep(self, data: bytes | memoryview, size: int) -> None:
        if len(self.datagrams) < KEPT_DATAGRAMS:
            self.datagrams += [bytes(data[at : at + size]) for at in range(0, len(data), size)]

    def received(self, data: memoryview, size: int, _path: addresses.Path, *, now: float) -> None:  # noqa: ARG002 - as every tap
        self._keep(data, size)

    def sent(self, transmit: Transmit, *, now: float) -> None:  # noqa: ARG002 - as every tap
        self._keep(transmit.data, transmit.size)


class Server:
    """Answer whoever holds one of the credentials."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.keys: list[str] = []
        self.endpoint = Endpoint(random=os.urandom, keylog=self.keys.append)
        self.node = Node(self.endpoint, on_event=self._on_event, offload=given.offload)
        self.connections: list[Connection] = []
        self.moves: list[tuple[float, str, str]] = []
        self.intake = Intake()
        self._given = given
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = -1

    async def run(self) -> None:
        host, port = self._given.host, self._given.port
        self._port = await self.node.open_port(Address("::" if ":" in host else "0.0.0.0", port))
        for number in range(SLOTS):
            self.endpoint.arm(slot(number, host, port), deadline=time.monotonic() + 600)
        await obey({"facts": self.facts, "hide": self.hide, "keys": self.save_keys})

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SessionOpened) and event.role is Role.RESPONDER:
            connection = Connection(self.node, self.endpoint.sessions[event.session])
            connection.on_datagram = connection.send_datagram
            connection.on_stream = self._on_stream
            connection.on_path = self._on_path
            self.connections.append(connection)

    def _on_path(self, path: addresses.Path, why: str) -> None:
        self.moves.append((time.monotonic(), str(path.remote), why))

    def _on_stream(self, stream: Stream) -> None:
        task = asyncio.get_running_loop().create_task(self._attend(stream))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, stream: Stream) -> None:
        wish = await stream.read_exactly(1)
        if wish == ECHO:
            while data := await stream.read():
                await stream.write(data)
        elif wish == UPLOAD:
            self.intake = intake = Intake()
            while data := await stream.read():
                intake.take(data)
            await stream.write(json.dumps(intake.facts()).encode())
        else:
            for block in blocks(int.from_bytes(await stream.read_exactly(8), "big")):
                await stream.write(block)
        await stream.finish()

    async def facts(self) -> dict[str, Any]:
        return {
            "drops": dict(self.endpoint.drops),
            "path_errors": dict(self.endpoint.path_errors),
            "kernel_drops": self.node.ports[self._port].dropped(),
            "sessions": len(self.endpoint.sessions),
            "moves": self.moves,
            "received": self.intake.size,
        }

    async def hide(self, seconds: float) -> dict[str, Any]:
        """Close the socket for a while, as a host does whose program is being replaced: its kernel refuses for it."""
        address = self.node.ports[self._port].address
        self.endpoint.emit(ClosePort(self._port))
        self.node.flush()
        await asyncio.sleep(seconds)
        self.endpoint.emit(OpenPort(self._port, address))
        self.node.flush()
        return {"at": time.monotonic(), "address": str(self.node.ports[self._port].address)}

    async def save_keys(self, file: str) -> dict[str, Any]:
        Path(file).write_text("\n".join(self.keys) + "\n", encoding="ascii")
        return {"lines": len(self.keys)}


class Client:
    """Join by one of the credentials, and move bytes."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._any = Address("::" if ":" in given.host else "0.0.0.0", 0)
        self._keep = Keep()
        self._endpoint = Endpoint(random=os.urandom)
        self._node = self._new_node(self._endpoint, self._keep)
        self._connection: Connection | None = None
        self._greeting = b""

    def _on_event(self, event: Event) -> None:
        if isinstance(event, SessionOpened) and self._greeting:
            session = self._endpoint.sessions[event.session]
            session.write(session.open_stream(), ECHO + self._greeting, fin=True)

    def _new_node(self, endpoint: Endpoint, keep: Keep | None = None) -> Node:
        return Node(endpoint, on_event=self._on_event, offload=self._given.offload, tap=keep)

    async def run(self) -> None:
        commands = (self.connect, self.echo, self.upload, self.download, self.crowd, self.save, self.facts, self.close)
        await obey({command.__name__: command for command in commands})

    @property
    def connection(self) -> Connection:
        assert self._connection is not None, "not connected"
        return self._connection

    async def _join(self, node: Node, number: int, timeout: float) -> Connection:
        port = await node.open_port(self._any)
        credential = slot(number, self._given.host, self._given.port).credential
        return await connect(node, credential, port=port, timeout=timeout)

    async def connect(self, timeout: float = 20.0, greeting: str = "") -> dict[str, Any]:
        """Join the server, perhaps with something to say as soon as it may be said."""
        begun = time.monotonic()
        self._greeting = greeting.encode()
        self._connection = await self._join(self._node, 0, timeout)
        return {"seconds": time.monotonic() - begun, "path_errors": dict(self._endpoint.path_errors)}

    async def echo(self, text: str) -> dict[str, Any]:
        begun = time.monotonic()
        stream = self.connection.open_stream()
        await stream.write(ECHO + text.encode())
        await stream.finish()
        answer = b""
        while data := await stream.read():
            answer += data
        return {"answer": answer.decode(), "seconds": time.monotonic() - begun}

    async def upload(self, size: int, mark: int | None = None) -> dict[str, Any]:
        stream = self.connection.open_stream()
        begun, sent = time.monotonic(), 0
        await stream.write(UPLOAD)
        for block in blocks(size):
            await stream.write(block)
            sent += len(block)
            if mark is not None and sent >= mark:
                say(reached=sent)
                mark = None
        await stream.finish()
        answer = b""
        while data := await stream.read():
            answer += data
        return {**json.loads(answer), "seconds": time.monotonic() - begun, "expected": expected(size)}

    async def download(self, size: int, mark: int | None = None) -> dict[str, Any]:
        stream = self.connection.open_stream()
        begun = time.monotonic()
        await stream.write(DOWNLOAD + size.to_bytes(8, "big"))
        await stream.finish()
        intake = Intake()
        while data := await stream.read():
            intake.take(data)
            if mark is not None and intake.size >= mark:
                say(reached=intake.size)
                mark = None
        return {**intake.facts(), "seconds": time.monotonic() - begun, "expected": expected(size)}

    async def crowd(self, count: int, size: int) -> dict[str, Any]:
        """Let so many clients, each with an endpoint, a port and a credential of its own, talk at the same time."""
        begun = time.monotonic()
        told = await asyncio.gather(*(self._guest(number, size) for number in range(count)))
        return {"right": sum(told), "seconds": time.monotonic() - begun}

    async def _guest(self, number: int, size: int) -> bool:
        node = self._new_node(Endpoint(random=os.urandom))
        connection = await self._join(node, number, 20.0)
        answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.on_datagram = lambda data: None if answered.done() else answered.set_result(data)
        message = f"guest {number}: ".encode() + random.Random(number).randbytes(100)
        connection.send_datagram(message)
        stream = connection.open_stream()
        sent = random.Random(number).randbytes(size)
        await stream.write(ECHO + sent)
        await stream.finish()
        back = await stream.read_exactly(size)
        right = back == sent and await stream.read() == b"" and await answered == message
        connection.close()
        await node.close()
        return right

    async def save(self, file: str) -> dict[str, Any]:
        """Write the datagrams that were kept to a file, each behind its length."""
        data = b"".join(len(each).to_bytes(2, "big") + each for each in self._keep.datagrams)
        await asyncio.to_thread(Path(file).write_bytes, data)
        return {"datagrams": len(self._keep.datagrams)}

    async def facts(self) -> dict[str, Any]:
        figures = self.connection.stats()
        return {
            "loss": figures.loss,
            "rtt": figures.rtt,
            "datagram_size": figures.datagram_size,
            "path_errors": dict(self._endpoint.path_errors),
            "ended": str(self.connection.error or ""),
        }

    async def close(self) -> dict[str, Any]:
        self.connection.close()
        ended = await self.connection.wait_closed()
        await self._node.close()
        return {"ended": str(ended)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--no-offload", dest="offload", action="store_false", default=None)
    given = parser.parse_args()

    async def live() -> None:
        await (Server(given) if given.role == "server" else Client(given)).run()

    run(live())


if __name__ == "__main__":
    main()
