"""One stream of a connection, for programs: awaited calls, or a callback for who wants every microsecond."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from clawchat.net.driver import Node
from clawchat.session.session import Session
from clawchat.values.errors import ClawchatError, SessionClosed, UsageError
from clawchat.values.events import StreamDelivered, StreamReadable, StreamReset, StreamStopped, StreamWritable

SMALLEST_PIECE: Final = 64 << 10
"""A write is not cut into pieces smaller than this, even if that is a little more than there is room for."""


class StreamAborted(ClawchatError):  # noqa: N818 - the peer's doing
    """The peer gave up its side of the stream, or no longer wants ours; ``code`` is its reason."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(f"{words} (code {code})")
        self.code = code


class Stream:
    """Reliable ordered bytes both ways. One task reads and one writes at a time.

    Instead of awaiting ``read``, set ``on_readable``: it is called with the stream when there is something
    to take with ``read_now``, or when the stream or the session is over. What it writes leaves at once.
    """

    __slots__ = (
        "_delivered",
        "_delivery",
        "_ended",
        "_node",
        "_on_done",
        "_readable",
        "_received",
        "_reset",
        "_sent",
        "_session",
        "_stopped",
        "_writable",
        "id",
        "on_readable",
    )

    def __init__(self, node: Node, session: Session, stream: int, *, on_done: Callable[[Stream], None]) -> None:
        self.id = stream
        self.on_readable: Callable[[Stream], None] | None = None
        self._node = node
        self._session = session
        self._readable: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._delivery: asyncio.Future[None] | None = None
        self._delivered = False
        self._sent = False
        self._received = False
        self._on_done = on_done
        self._reset: StreamAborted | None = None
        self._stopped: StreamAborted | None = None
        self._ended: SessionClosed | None = None

    # --- reading -----------------------------------------------------------------------------------

    def read_now(self, limit: int = -1) -> bytes:
        """Take what has arrived, at most ``limit`` bytes if given; empty if there is nothing."""
        data = self._session.read(self.id, limit)
        if data:
            self._node.wake()  # the peer may be waiting for room
        if self._session.at_end(self.id):
            self._received = True
            self._settle()
        return data

    @property
    def at_end(self) -> bool:
        """Tell whether everything up to the peer's end of the stream was read."""
        return self._session.at_end(self.id)

    async def read(self, limit: int = -1) -> bytes:
        """Wait for bytes, at most ``limit`` if given; empty at the end.

        Raises StreamAborted if the peer gave up, SessionClosed if the session is over.
        """
        while not (data := self.read_now(limit)):
            if self._reset is not None:
                raise self._reset
            if self.at_end:
                return b""
            self._require(None)
            self._readable = self._waiter(self._readable)
            await self._readable
        return data

    async def read_exactly(self, size: int) -> bytes:
        """Wait for ``size`` bytes. Raises EOFError if the stream ends before them, and what ``read`` raises."""
        parts: list[bytes] = []
        while size:
            part = await self.read(size)
            if not part:
                raise EOFError("the stream ended within a message")
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def stop(self, code: int) -> None:
        """Ask the peer to give up sending, and drop what it sent."""
        self._session.stop(self.id, code)
        self._received = True
        self._node.wake()
        self._settle()

    # --- writing -----------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """Return how many bytes the stream takes before ``write`` waits."""
        return self._session.room(self.id)

    def write_now(self, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes, however many, and the end with ``fin``. Raises what ``write`` raises."""
        self._require(self._stopped)
        idle = self._session.idle
        self._session.write(self.id, data, fin=fin)
        if idle:
            self._node.push()  # nothing is under way whose answer could take the bytes along: don't wait
        else:
            self._node.wake()

    async def write(self, data: bytes) -> None:
        """Queue bytes, waiting for room.

        Raises StreamAborted if the peer no longer wants them, SessionClosed if the session is over.
        """
        at = 0
        while at < len(data):
            room = self._session.room(self.id)
            if room > 0:
                end = at + max(room, SMALLEST_PIECE)
                self.write_now(data[at:end])
                at = end
                continue
            self._require(self._stopped)
            self._writable = self._waiter(self._writable)
            await self._writable

    async def finish(self) -> None:
        """End our side of the stream; the peer's may go on."""
        self.write_now(b"", fin=True)

    async def wait_delivered(self) -> None:
        """Wait until the peer has acknowledged everything up to our end of the stream. Raises as ``write`` does."""
        while not self._delivered:
            self._require(self._stopped)
            self._delivery = self._waiter(self._delivery)
            await self._delivery

    def reset(self, code: int) -> None:
        """Give up sending; what is under way is lost."""
        self._session.reset(self.id, code)
        self._sent = True
        self._node.wake()
        self._settle()

    # --- what the connection tells -----------------------------------------------------------------

    def on_event(self, event: StreamReadable | StreamWritable | StreamReset | StreamStopped | StreamDelivered) -> None:
        """Take in what happened to the stream."""
        match event:
            case StreamReadable():
                self._tell_reader()
            case StreamWritable():
                _release(self._writable)
            case StreamReset(code=code):
                self._reset = StreamAborted("the peer gave up sending", code)
                self._received = True
                self._tell_reader()
                self._settle()
            case StreamStopped(code=code):
                self._stopped = StreamAborted("the peer wants no more of this", code)
                self._sent = True
                self._release_writers()
                self._settle()
            case StreamDelivered():
                self._delivered = self._sent = True
                _release(self._delivery)
                self._settle()

    def on_session_ended(self, error: SessionClosed) -> None:
        """Fail whoever waits; what has arrived can still be read."""
        self._ended = error
        self._release_writers()
        self._tell_reader()

    def _tell_reader(self) -> None:
        _release(self._readable)
        if self.on_readable is not None:
            self.on_readable(self)

    def _release_writers(self) -> None:
        _release(self._writable)
        _release(self._delivery)

    def _settle(self) -> None:
        """Be forgotten when both directions are over and the program has seen it."""
        if self._sent and self._received:
            self._on_done(self)

    def _require(self, aborted: StreamAborted | None) -> None:
        if aborted is not None:
            raise aborted
        if self._ended is not None:
            raise self._ended

    @staticmethod
    def _waiter(current: asyncio.Future[None] | None) -> asyncio.Future[None]:
        if current is not None and not current.done():
            raise UsageError("another task waits for this stream already")
        return asyncio.get_running_loop().create_future()


def _release(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
