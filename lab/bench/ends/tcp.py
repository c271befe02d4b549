"""TCP, and TLS over it: blocking sockets of the standard library, one thread a connection."""

from __future__ import annotations

import argparse
import asyncio
import socket
import ssl
import threading
from pathlib import Path

from lab.bench.ends.command import actions_for, obey, say
from lab.bench.ends.workload import BLOCK_SIZE, Answer

SMALL_READ = 4096
"""Bytes of one read at the client, which only ever gets echoes and credit."""


class SocketPipe:
    """One connection; its calls block, which is fine as nothing else runs in this program."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Write everything."""
        self._connection.sendall(data)

    async def receive(self) -> bytes:
        """Read what is there."""
        data = self._connection.recv(SMALL_READ)
        if not data:
            raise ConnectionResetError("the server closed the connection")
        return data

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _converse(connection: socket.socket, context: ssl.SSLContext | None) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context:
        connection = context.wrap_socket(connection, server_side=True)
    answer = Answer()
    room = memoryview(bytearray(BLOCK_SIZE))
    with connection:
        while size := connection.recv_into(room):
            if reply := answer.feed(room[:size]):
                connection.sendall(reply)


def serve(host: str, port: int, certificate: Path | None = None, key: Path | None = None) -> None:
    """Answer every connection until killed."""
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
    with socket.create_server((host, port)) as listener:
        say(ready=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_converse, args=(connection, context), daemon=True).start()


async def measure(host: str, port: int, certificate: Path | None = None) -> None:
    """Carry out the harness's commands."""
    context = ssl.create_default_context(cafile=str(certificate)) if certificate else None

    async def connect() -> SocketPipe:
        connection = socket.create_connection((host, port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            connection = context.wrap_socket(connection, server_hostname=host)
        return SocketPipe(connection)

    await obey(actions_for(connect))


def main() -> None:
    """Run as `server` or `client`; with a certificate the connection is TLS."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    given = parser.parse_args()
    if given.role == "server":
        serve(given.host, given.port, given.certificate, given.key)
    else:
        asyncio.run(measure(given.host, given.port, given.certificate))


if __name__ == "__main__":
    main()
