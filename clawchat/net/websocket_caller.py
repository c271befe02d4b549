"""One TCP connection to a relay: an HTTP request, and if it asks for the right thing, a WebSocket.

To everybody else this is a small web server that has nothing: 404, or 400 for what is no HTTP. What arrives never
raises, and is limited in size before anything is kept of it.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol

from websockets.exceptions import WebSocketException
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN
from websockets.server import ServerProtocol

from clawchat.net.tunnel import SILENT, WRITE_BYTES, Outbox, hold_little
from clawchat.values.address import Address, Path
from clawchat.values.limits import MAX_DATAGRAM

HANDSHAKE_SECONDS: Final = 10.0
"""How long a caller has for TLS and the upgrade."""

FAREWELL_SECONDS: Final = 2.0
"""How long a caller that was answered has to read the answer."""

MAX_HEAD: Final = 8 << 10
"""How much of a request is read; a browser's is a tenth of it."""

PIECE_BYTES: Final = 16 << 10
"""How much is handed to the socket at once."""

MAX_CONTROL_BYTES: Final = 4 * WRITE_BYTES
"""A caller that asks and never reads what it is answered is cut off with this much waiting for it."""

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE: Final = re.compile(rb"[A-Z]{1,16} [!-~]{1,2048} HTTP/1\.[01]\r?\n")
_MESSAGE: Final = (Opcode.BINARY, Opcode.CONT)


class Desk(Protocol):
    """Whom callers turn to: the listener."""

    def admit(self, caller: Caller) -> bool:
        """Take note of a caller, unless there are too many."""

    def knows(self, path: str) -> bool:
        """Tell whether a caller asks for what only members know of."""

    def turned_away(self) -> None:
        """Note that a caller asked for something else."""

    def opened(self, caller: Caller) -> Path:
        """Give a caller that has upgraded a port."""

    def left(self, caller: Caller) -> None:
        """Forget a caller."""

    @property
    def arrived(self) -> Callable[[bytes, Path], None]:
        """Take in a datagram."""


class Caller(asyncio.Protocol):
    """A TCP connection that somebody opened. Close it by ``close``; it is a tunnel of the node once it has a path."""

    def __init__(self, desk: Desk, tls: ssl.SSLContext | None) -> None:
        self.address = Address("::", 0)
        self.path: Path | None = None
        self.used_at = time.monotonic()
        """When a session was last seen to go by this WebSocket, or when the connection began."""
        self.outbox = Outbox()
        self._desk = desk
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._securing: asyncio.Task[None] | None = None
        self._protocol = ServerProtocol(max_size=MAX_DATAGRAM, logger=SILENT)
        self._ready = tls is None
        """Whether what we write goes through TLS, if there is any; a request may come a moment before."""
        self._head = bytearray()
        self._parts: list[bytes] = []
        self._paused = False

    # --- what the event loop tells -----------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or hang up on one caller too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - it is a TCP connection
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self.address = Address.make(peer[0], 0) if peer else self.address
        if not self._desk.admit(self):
            transport.abort()
            return
        hold_little(transport.get_extra_info("socket"))
        transport.set_write_buffer_limits(high=WRITE_BYTES)
        self._deadline = self._loop.call_later(HANDSHAKE_SECONDS, transport.abort)
        if self._tls is not None:
            transport.pause_reading()
            self._securing = self._loop.create_task(self._secure(transport, self._tls))

    async def _secure(self, transport: asyncio.Transport, tls: ssl.SSLContext) -> None:
        try:
            secured = await self._loop.start_tls(
                transport, self, tls, server_side=True, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except (OSError, TimeoutError):
            secured = None
        if secured is None or self._deadline is None:
            transport.abort()
            self.connection_lost(None)
            return
        self._transport = secured
        self._deadline.cancel()
        self._deadline = self._loop.call_later(HANDSHAKE_SECONDS, secured.abort)
        secured.set_write_buffer_limits(high=WRITE_BYTES)
        self._ready = True
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Take in bytes, whatever they are."""
        try:
            if self._protocol.state is OPEN:
                self._feed(data)
            else:
                self._ask(data)
        except (WebSocketException, EOFError, ValueError, AssertionError):
            self.close()

    def eof_received(self) -> bool:
        """Hang up as well."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why is all the same
        """Be gone."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._desk.left(self)

    def pause_writing(self) -> None:
        """Let datagrams wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Send what waits."""
        self._paused = False
        self._pump()

    # --- as a tunnel -------------------------------------------------------------------------------

    def send(self, data: bytes | memoryview, size: int) -> None:
        """Send datagrams; what a slow reader does not take waits, and is dropped when too much does."""
        self.outbox.put(data, size)
        self._pump()

    def close(self) -> None:
        """Hang up; a moment is left for what is still to be sent."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.close()
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(FAREWELL_SECONDS, transport.abort)

    def _pump(self) -> None:
        while not self._paused and self._protocol.state is OPEN and self.outbox.bytes:
            room = PIECE_BYTES
            while room > 0 and (datagram := self.outbox.take()) is not None:
                self._protocol.send_binary(datagram)
                room -= len(datagram)
            self._write()

    def _write(self) -> None:
        writes = self._protocol.data_to_send()
        transport = self._transport
        if transport is None or not writes:
            return
        transport.write(b"".join(writes))
        if not writes[-1]:  # the library's sign for the end of the stream
            self.close()
        elif transport.get_write_buffer_size() > MAX_CONTROL_BYTES:
            transport.abort()

    # --- the request -------------------------------------------------------------------------------

    def _ask(self, data: bytes) -> None:
        """Gather a request, and answer it."""
        if self._transport is None or self._transport.is_closing():
            return
        self._head += data
        if not self._ready:
            return
        end = _HEAD_END.search(self._head, 0, MAX_HEAD)
        line = _REQUEST_LINE.match(self._head)
        if end is None:
            begun = not self._head or self._head[:1].isupper()
            begun = begun and (line is not None or b"\n" not in self._head)
            if not begun or len(self._head) >= MAX_HEAD:
                self._refuse(HTTPStatus.BAD_REQUEST)
            return
        if line is None:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        if not self._desk.knows(bytes(self._head).split(b" ", 2)[1].decode("ascii")):
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        head, rest = bytes(self._head[: end.end()]), bytes(self._head[end.end() :])
        self._head.clear()
        self._upgrade(head)
        if rest and self._protocol.state is OPEN:
            self._feed(rest)

    def _upgrade(self, head: bytes) -> None:
        self._protocol.receive_data(head)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._protocol.send_response(self._protocol.accept(event))
        if self._protocol.state is not OPEN and self._protocol.handshake_exc is None:
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        self._write()
        if self._protocol.state is OPEN and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self.path = self._desk.opened(self)

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer as any web server does, and hang up."""
        self._desk.turned_away()
        body = b"" if self._head.startswith(b"HEAD ") else f"<h1>{status} {status.phrase}</h1>\n".encode()
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nDate: {formatdate(usegmt=True)}\r\nContent-Type: text/html\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self._head.clear()
        if self._transport is not None:
            self._transport.write(head.encode() + body)
            self.close()

    # --- the WebSocket -----------------------------------------------------------------------------

    def _feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
        self._write()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA)
        elif frame.opcode in _MESSAGE and self.path is not None:
            self._parts.append(bytes(frame.data))
            if frame.fin:
                message = b"".join(self._parts)
                self._parts.clear()
                self._desk.arrived(message, self.path)
