"""Let figures out: to a text file, and to whoever asks on a unix socket or a port of this machine alone.

What speaks HTTP here answers GET and HEAD of /metrics, one request a connection, and never touches the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import socket
from collections.abc import Awaitable, Callable
from typing import Final

from clawchat.net import files
from clawchat.values.errors import PersonalError
from server.logs import Log
from server.metrics.board import Board
from server.metrics.settings import Metrics

LOCALHOST: Final = "127.0.0.1"
# Public to the machine: the collector is another user. The socket is for our group.
TEXTFILE_MODE: Final = 0o644
SOCKET_MODE: Final = 0o660
MAX_REQUEST_BYTES: Final = 8 << 10
REQUEST_SECONDS: Final = 5.0
PATHS: Final = frozenset({"/", "/metrics"})


class Exporter:
    """Bring a board up to date every so often, and let it out where the settings say."""

    def __init__(self, board: Board, refresh: Callable[[], Awaitable[None]], settings: Metrics, log: Log) -> None:
        self._board = board
        self._refresh = refresh
        self._settings = settings
        self._log = log
        self._servers: list[asyncio.Server] = []
        self._failed = False

    async def open(self) -> None:
        """Open the doors that the settings name. Raises PersonalError: CC-PORT-BUSY, CC-READ-ONLY."""
        if self._settings.socket is not None:
            self._servers.append(await self._at_socket(self._settings.socket))
        if self._settings.port is not None:
            try:
                self._servers.append(await asyncio.start_server(self._answer, LOCALHOST, self._settings.port))
            except OSError as error:
                cause = f"the port {self._settings.port} for metrics can't be opened: {error.strerror or error}"
                raise PersonalError("CC-PORT-BUSY", cause, "Name another one in `metrics.port`.") from error

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            await self._refresh()
            if self._settings.textfile is not None:
                await self._write(self._settings.textfile)
            await asyncio.sleep(self._settings.interval)

    def close(self) -> None:
        """Close the doors; what a collector would read as news is removed."""
        for server in self._servers:
            server.close()
        door, file = self._settings.socket, self._settings.textfile
        with contextlib.suppress(OSError):
            if file is not None:
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            if door is not None and door.is_socket():
                door.unlink()

    async def _write(self, path: pathlib.Path) -> None:
        """Replace the text file; a disk may be slow, and the network must not wait for it."""
        try:
            await asyncio.to_thread(files.replace_file, path, self._board.text(), TEXTFILE_MODE)
        except OSError as error:
            if not self._failed:
                self._log.error("metrics-not-written", file=str(path), cause=error.strerror or str(error))
            self._failed = True
        else:
            self._failed = False

    async def _at_socket(self, path: pathlib.Path) -> asyncio.Server:
        try:
            listener = _listener(path)
            return await asyncio.start_unix_server(self._answer, sock=listener, limit=MAX_REQUEST_BYTES)
        except OSError as error:
            cause = f"the socket {path} for metrics can't be made: {error.strerror or error}"
            raise PersonalError("CC-READ-ONLY", cause, "Name another one in `metrics.socket`.") from error

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._response(head.decode("latin-1")))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, OSError):
            pass  # not a request, or nobody is there to read the answer
        finally:
            writer.close()

    def _response(self, head: str) -> bytes:
        """Answer a request (RFC 9112), of which only the first line and Accept matter."""
        request, *fields = head.split("\r\n")
        method, _, rest = request.partition(" ")
        target = rest.partition(" ")[0].partition("?")[0]
        if method not in {"GET", "HEAD"}:
            return _message("405 Method Not Allowed", "Allow: GET, HEAD", b"")
        if target not in PATHS:
            return _message("404 Not Found", "", b"")
        values = (
            value.strip() for name, _, value in (field.partition(":") for field in fields) if name.lower() == "accept"
        )
        content_type, body = self._board.document(next(values, ""))
        return _message("200 OK", f"Content-Type: {content_type}", body, tell_only=method == "HEAD")


def _listener(path: pathlib.Path) -> socket.socket:
    """Open a unix socket, in place of one that a program left behind."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():  # anything else is not ours to remove
            path.unlink()
        listener.bind(str(path))
        path.chmod(SOCKET_MODE)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def _message(status: str, field: str, body: bytes, *, tell_only: bool = False) -> bytes:
    lines = [f"HTTP/1.1 {status}", *filter(None, [field]), f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + (b"" if tell_only else body)
