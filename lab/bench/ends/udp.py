"""A bare UDP echo on asyncio's selector loop: the round trip that no program on such a loop can beat."""

from __future__ import annotations

import argparse
import asyncio
import socket

from lab.bench.ends.command import actions_for, obey, say

DATAGRAM_ROOM = 2048
"""Bytes to read a datagram into; the messages are far smaller."""

REPLY_TIMEOUT = 2.0
"""Seconds after which a message counts as lost; nothing is lost on a veth cable."""


def _bound(host: str, port: int) -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setblocking(False)
    udp.bind((host, port))
    return udp


async def serve(host: str, port: int) -> None:
    """Send every datagram back until killed."""
    udp = _bound(host, port)

    def answer() -> None:
        data, source = udp.recvfrom(DATAGRAM_ROOM)
        udp.sendto(data, source)

    asyncio.get_running_loop().add_reader(udp, answer)
    say(ready=True)
    await asyncio.Event().wait()


class DatagramPipe:
    """A socket towards the server, read when the loop says so."""

    def __init__(self, host: str, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = _bound("0.0.0.0", 0)  # noqa: S104 - inside a namespace of our own
        self._socket.connect((host, port))
        self._reply: asyncio.Future[bytes] = self._loop.create_future()
        self._loop.add_reader(self._socket, self._on_readable)

    def _on_readable(self) -> None:
        data = self._socket.recv(DATAGRAM_ROOM)
        if not self._reply.done():
            self._reply.set_result(data)

    async def send(self, data: bytes) -> None:
        """Send one datagram and get ready for its answer."""
        self._reply = self._loop.create_future()
        self._socket.send(data)

    async def receive(self) -> bytes:
        """Wait for the answer."""
        lost = self._loop.call_later(REPLY_TIMEOUT, self._give_up)
        try:
            return await self._reply
        finally:
            lost.cancel()

    def _give_up(self) -> None:
        if not self._reply.done():
            self._reply.set_exception(ConnectionError("a datagram or its echo was lost"))

    async def close(self) -> None:
        """Close the socket."""
        self._loop.remove_reader(self._socket)
        self._socket.close()


async def measure(host: str, port: int) -> None:
    """Carry out the harness's commands."""

    async def connect() -> DatagramPipe:
        return DatagramPipe(host, port)

    await obey(actions_for(connect, opening=b""))


def main() -> None:
    """Run as `server` or `client`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    act = serve if given.role == "server" else measure
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        runner.run(act(given.host, given.port))


if __name__ == "__main__":
    main()
