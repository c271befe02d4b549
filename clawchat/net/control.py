"""Control a running program of the same user: JSON lines over a unix socket of mode 0600.

The caller sends one line, an object whose ``request`` names what it wants. It gets one line back: the answer
with ``"ok": true``, or ``"ok": false`` with ``code``, ``cause`` and ``action`` of an error. A request that
attaches keeps the connection, and both sides go on with a line an object. Where the system can say who is at
the other end, only the same user and the administrator are served.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from clawchat.values.errors import PersonalError

if TYPE_CHECKING:
    import pathlib
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

# A status with hundreds of sessions takes some 100 KiB.
MAX_LINE_BYTES: Final = 1 << 20
# struct sockaddr_un holds 108 bytes on Linux and 104 elsewhere, the final zero included.
MAX_SOCKET_PATH_BYTES: Final = 103
SUPPORTED: Final = hasattr(socket, "AF_UNIX") and sys.platform != "win32"
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))
CALL_TIMEOUT: Final = 10.0


class Channel:
    """One connection: objects in, objects out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> dict[str, Any] | None:
        """Wait for the next object; None at the end, and for anything that is no JSON object."""
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            return None
        return parse_line(line)

    async def send(self, value: Mapping[str, object]) -> None:
        """Send an object and wait until the other end keeps up; do nothing when it is gone."""
        with contextlib.suppress(OSError):
            self._writer.write(format_line(value))
            await self._writer.drain()

    async def objects(self) -> AsyncIterator[dict[str, Any]]:
        """Go through the objects until the other end closes."""
        while (value := await self.receive()) is not None:
            yield value

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class ControlServer:
    """Answer requests: ``handlers`` maps each request's name to a coroutine of the request and its channel.

    A handler returns the answer, or None when it has said everything on the channel itself. A PersonalError
    it raises is told to the caller.
    """

    def __init__(
        self,
        path: pathlib.Path,
        handlers: Mapping[str, Callable[[Mapping[str, Any], Channel], Awaitable[Mapping[str, object] | None]]],
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._closed = False
        self._connections: dict[asyncio.Task[None], asyncio.WriteTransport] = {}

    async def start(self) -> None:
        """Open the socket, in place of one that a program left behind; the caller holds the directory's lock.

        Raises PersonalError(CC-READ-ONLY) when it can't be made.
        """
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short_path(self._path) as name:
                mask = os.umask(0o177)
                try:
                    listener.bind(name)
                finally:
                    os.umask(mask)
            listener.setblocking(False)
            self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MAX_LINE_BYTES)
        except OSError as error:
            listener.close()
            raise PersonalError(
                "CC-READ-ONLY",
                f"the control socket {self._path} can't be made: {error.strerror or error}",
                "Choose a security directory on a local file system, with a shorter path.",
            ) from error

    async def close(self) -> None:
        """Close the socket and every connection, and remove the socket's file."""
        if self._server is None:
            return
        self._closed = True
        for listener in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        # asyncio loses a connection that it has accepted, but not yet taken up, when its server is closed.
        await asyncio.sleep(0)
        self._server.close()
        for task, transport in tuple(self._connections.items()):
            task.cancel()
            transport.abort()  # a caller that does not read must not keep the program from ending
        await asyncio.gather(*self._connections, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:  # it was accepted at the last moment
            writer.transport.abort()
            return
        # Not a coroutine: one that is cancelled before its first step would leave the connection open.
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._connections[task] = writer.transport
        task.add_done_callback(self._connections.pop)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        channel = Channel(reader, writer)
        try:
            if _is_friend(writer.get_extra_info("socket")):
                await self._serve(channel)
        finally:
            await channel.close()

    async def _serve(self, channel: Channel) -> None:
        request = await channel.receive()
        if request is None:
            return
        handler = self._handlers.get(str(request.get("request")))
        answer: Mapping[str, object] | None
        try:
            if handler is None:
                raise PersonalError("CC-USAGE", f"unknown request {request.get('request')!r}")
            answer = await handler(request, channel)
        except PersonalError as error:
            answer = {"ok": False, "code": error.code, "cause": error.cause, "action": error.action}
        if answer is not None:
            await channel.send({"ok": True} | dict(answer))


def call(path: pathlib.Path, request: str, *, timeout: float = CALL_TIMEOUT, **arguments: object) -> dict[str, Any]:
    """Ask a running program and return its answer.

    Raises PersonalError: CC-NOT-RUNNING when nobody listens, CC-CONTROL-DENIED when it is another user's,
    or the error it answered with.
    """
    with contextlib.closing(_connect(path)) as connection:
        connection.settimeout(timeout)
        try:
            connection.sendall(format_line({"request": request, **arguments}))
            with connection.makefile("rb") as stream:
                line = stream.readline(MAX_LINE_BYTES)
        except TimeoutError as error:
            cause = f"the program at {path} did not answer within {timeout:g} seconds"
            raise PersonalError("CC-NOT-RUNNING", cause, "Look at its log; restart it.") from error
        except OSError as error:
            raise _not_running(path) from error
    return check_answer(parse_line(line), path)


async def open_channel(path: pathlib.Path, request: str, **arguments: object) -> tuple[Channel, dict[str, Any]]:
    """Ask a running program for a lasting connection; return it and the first answer. Raises as ``call`` does."""
    connection = _connect(path)
    connection.setblocking(False)
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=MAX_LINE_BYTES)
    channel = Channel(reader, writer)
    await channel.send({"request": request, **arguments})
    return channel, check_answer(await channel.receive(), path)


def format_line(value: Mapping[str, object]) -> bytes:
    """Encode an object as one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Decode a line; None when it is no JSON object."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def check_answer(answer: dict[str, Any] | None, path: pathlib.Path) -> dict[str, Any]:
    """Return a good answer; raise the PersonalError that a bad one tells."""
    if answer is None:
        raise _not_running(path)
    if not answer.pop("ok", False):
        texts = [str(answer.get(key, "")) for key in ("code", "cause", "action")]
        raise PersonalError(*texts)
    return answer


def _connect(path: pathlib.Path) -> socket.socket:
    if not SUPPORTED:
        raise PersonalError("CC-NOT-RUNNING", "this system has no control sockets")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with _short_path(path) as name:
            connection.connect(name)
    except OSError as error:
        connection.close()
        if error.errno in {errno.EACCES, errno.EPERM}:
            raise PersonalError("CC-CONTROL-DENIED", f"{path} belongs to another user") from error
        raise _not_running(path) from error
    if not _is_friend(connection):
        connection.close()
        raise PersonalError("CC-CONTROL-DENIED", f"the program at {path} runs as another user")
    return connection


def _not_running(path: pathlib.Path) -> PersonalError:
    return PersonalError("CC-NOT-RUNNING", f"no program answers at {path}")


def _is_friend(connection: socket.socket) -> bool:
    """Tell whether the other end is this user or the administrator; the file's mode says it where nobody else does."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user = os.geteuid()
    return user == 0 or _CREDENTIALS.unpack(packed)[1] in {0, user}


@contextlib.contextmanager
def _short_path(path: pathlib.Path) -> Iterator[str]:
    """Name a socket within the length that the system allows, through the open directory where it is too long."""
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES or not sys.platform.startswith("linux"):
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
