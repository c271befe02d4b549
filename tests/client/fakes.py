"""A server in this process: the real hub, and connections to it that need no network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from clawchat.net.user_events import UserEvent
from clawchat.services.chat_codec import ServerDecoder, encode
from clawchat.services.chat_hub import Hub
from clawchat.services.preface import CHAT, PrefaceReader
from clawchat.session.identity import SessionStats
from clawchat.values.address import Address, Path
from clawchat.values.errors import Compromised, LocallyClosed, SessionClosed
from client.link import Link

PATH = Path(0, Address("203.0.113.7", 5000))
AT = 1_700_000_000


class FakeStream:
    """The client's end of a chat stream; the hub takes and gives at once."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self._preface = PrefaceReader()
        self._decoder = ServerDecoder()
        self._in = bytearray()
        self._arrived = asyncio.Event()
        self.failure: Exception | None = None
        self.ended = False
        self.member: int | None = None

    async def read(self, limit: int = -1) -> bytes:
        while not self._in:
            if self.failure is not None:
                raise self.failure
            if self.ended:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        data = bytes(self._in if limit < 0 else self._in[:limit])
        del self._in[: len(data)]
        return data

    def write_now(self, data: bytes) -> None:
        if self.member is None:
            found = self._preface.feed(data)
            assert found is not None
            assert found[0] == CHAT
            self.member, data = self._server.hub.attach(), found[1]
        for message in self._decoder.feed(data):
            self._server.hub.receive(self.member, message, unix_now=AT)
        if not self._server.deaf:
            self._server.deliver()

    def take(self, data: bytes) -> None:
        self._in += data
        self._arrived.set()

    def fail(self, failure: Exception | None) -> None:
        self.failure, self.ended = failure, True
        self._arrived.set()


class FakeServer:
    """A hub and the streams on it; while ``deaf``, nothing comes back."""

    def __init__(self) -> None:
        self.hub = Hub(server="home")
        self.streams: list[FakeStream] = []
        self.deaf = False

    def deliver(self) -> None:
        streams = {stream.member: stream for stream in self.streams}
        while self.hub.ready:
            for member in tuple(self.hub.ready):
                for message in self.hub.take(member, 100):
                    streams[member].take(encode(message))


class FakePeer:
    """A connection to a fake server."""

    words = "123 456 apple river stone"

    def __init__(self, server: FakeServer) -> None:
        self.on_path: Callable[[Path, str], None] | None = None
        self.on_keys: Callable[[int], None] | None = None
        self.epoch = 0
        self.path = PATH
        self.tunnelled = False
        self.heard = 0.0
        self.rtt = 0.0125
        self.answering = asyncio.Event()
        self.answering.set()
        self._server = server
        self._ended: asyncio.Future[SessionClosed] = asyncio.get_running_loop().create_future()

    def stats(self) -> SessionStats:
        return SessionStats(
            3.0, self.rtt, self.rtt, 0.0, 0, 0, 0, 0, 1200, 0, 0, self.path, self.heard, self.epoch, 3.0
        )

    def open_stream(self) -> FakeStream:
        stream = FakeStream(self._server)
        self._server.streams.append(stream)
        return stream

    def rekey(self) -> None:
        self.epoch += 1
        assert self.on_keys is not None
        self.on_keys(self.epoch)

    @property
    def closed(self) -> bool:
        return self._ended.done()

    def hop(self) -> None:
        assert self.on_path is not None
        self.on_path(self.path, "hopped")

    def compromise(self, *, everything: bool = True) -> None:
        self.end(Compromised(told=False, everything=everything))

    async def ping(self) -> float:
        await self.answering.wait()
        return self.rtt

    async def wait_closed(self) -> SessionClosed:
        return await asyncio.shield(self._ended)

    def close(self) -> None:
        self.end(LocallyClosed())

    def end(self, error: SessionClosed) -> None:
        if not self._ended.done():
            self._ended.set_result(error)


class Person:
    """A link to a fake server and the events it told."""

    def __init__(self, server: FakeServer, name: str, room: str = "lobby") -> None:
        self.peer = FakePeer(server)
        self.events: list[UserEvent] = []
        self.link = Link(self.peer, server="home", name=name, room=room, token="", emit=self.events.append)

    async def __aenter__(self) -> Self:
        await self.link.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()

    def told(self, kind: type[UserEvent]) -> list[UserEvent]:
        return [event for event in self.events if isinstance(event, kind)]


async def turns(count: int = 20) -> None:
    """Let everything that is ready happen."""
    for _ in range(count):
        await asyncio.sleep(0)
