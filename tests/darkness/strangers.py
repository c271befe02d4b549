"""A crowd of strangers: sockets that talk to a server and listen for anything that comes back."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from clawchat.net.socket_options import SOL_UDP, UDP_SEGMENT
from clawchat.values.address import Address

HUSH: Final = 0.3
"""How long strangers listen after the server has read everything; an answer leaves in the turn that read it."""

MAX_QUEUED: Final = 48 << 10
"""Kernel memory in the server's queue, bytes, above which strangers wait, so that not even a small buffer overflows."""

LOOK_EVERY: Final = 64
"""Datagrams between two looks at that queue."""

READINGS: Final = 50
"""Readings of the kernel's table before a socket counts as gone: the table comes page by page, and between two pages
a socket is passed over if others are closed meanwhile, by whatever program."""


class Heard(AssertionError):  # noqa: N818 - it says what happened
    """A stranger got something back."""


class Queue(NamedTuple):
    """What the kernel tells of a bound socket: bytes waiting to be read, and datagrams it dropped there."""

    waiting: int
    dropped: int

    @classmethod
    def of(cls, address: Address) -> Queue:
        """Look at a socket of this machine in the kernel's table."""
        host = int.from_bytes(socket.inet_aton(address.host), "little")
        wanted = f"{host:08X}:{address.port:04X}"
        for _ in range(READINGS):
            for line in Path("/proc/net/udp").read_text("ascii").splitlines():
                words = line.split()
                if words[1] == wanted:
                    return cls(int(words[4].partition(":")[2], 16), int(words[12]))
        raise LookupError(f"nothing is bound to {address}")


class Strangers:
    """So many sockets, each with a loopback address and a port of its own."""

    def __init__(self, server: Address, count: int) -> None:
        self.sent = 0
        self._server = server
        self._target = (server.host, server.port)
        self._sockets = [self._stranger(number) for number in range(count)]
        self._turn = self._turns()

    @staticmethod
    def _stranger(number: int) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind((f"127.0.{1 + number // 200}.{1 + number % 200}", 0))
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in self._sockets:
            each.close()

    def _turns(self) -> Iterator[socket.socket]:
        """Yield the strangers in turn, waiting whenever the server has too much to read."""
        while True:
            for number, each in enumerate(self._sockets):
                if not number % LOOK_EVERY:
                    self.wait(MAX_QUEUED)
                yield each

    def wait(self, waiting: int = 0) -> None:
        """Wait until the server has no more than this left to read."""
        deadline = time.monotonic() + 30
        while Queue.of(self._server).waiting > waiting:
            assert time.monotonic() < deadline, "the server reads no more"
            time.sleep(0.001)

    def send(self, datagram: bytes) -> None:
        """Let the next stranger send a datagram."""
        each = next(self._turn)
        try:
            each.sendto(datagram, self._target)
        except BlockingIOError:
            self.wait()
            each.sendto(datagram, self._target)
        self.sent += 1

    def send_together(self, datagrams: list[bytes]) -> None:
        """Let the next stranger send datagrams of one size so that they arrive as one batch."""
        self.wait(MAX_QUEUED)
        size = len(datagrams[0])
        control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))]
        next(self._turn).sendmsg([b"".join(datagrams)], control, 0, self._target)
        self.sent += len(datagrams)

    def check(self) -> None:
        """Wait until everything was read, and listen. Raises Heard if any stranger got as much as an empty datagram."""
        self.wait()
        time.sleep(HUSH)
        for each in self._sockets:
            with contextlib.suppress(BlockingIOError):
                data, source = each.recvfrom(1 << 16)
                raise Heard(f"{len(data)} bytes came back from {source[0]}:{source[1]}")
