"""What WebSockets have in common at both ends: a place among a node's ports, and a queue that drops the oldest."""

from __future__ import annotations

import logging
from collections import deque
from typing import Final, Protocol

from clawchat.net.socket_errors import System
from clawchat.net.socket_options import SYSTEM, Option, Settable, ask

QUEUE_BYTES: Final = 256 << 10
"""How much waits for a slow reader; the oldest datagram is dropped for a newer one, as routers do."""

WRITE_BYTES: Final = 64 << 10
"""How much of it the event loop and the kernel hold: what they have can be dropped no more."""

SILENT: Final = logging.getLogger("clawchat.websocket")
"""What the library tells of each connection; strangers should not fill a log."""
SILENT.disabled = True

_IPPROTO_TCP: Final = 6
_NOTSENT_LOWAT: Final = Option(_IPPROTO_TCP, 25, WRITE_BYTES)


class Tunnel(Protocol):
    """A port that is no UDP socket."""

    def send(self, data: bytes | memoryview, size: int) -> None:
        """Send datagrams of ``size`` bytes each, the last perhaps shorter, or lose them."""

    def close(self) -> None:
        """Send what the kernel takes of what waits, and be gone."""


class Outbox:
    """Datagrams that wait for a stream, the oldest first; ``dropped`` counts those it lost."""

    __slots__ = ("_waiting", "bytes", "dropped")

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque()
        self.bytes = 0
        self.dropped = 0

    def put(self, data: bytes | memoryview, size: int) -> None:
        """Add datagrams of ``size`` bytes each, the last perhaps shorter."""
        for at in range(0, len(data), size):
            datagram = bytes(data[at : at + size])
            self._waiting.append(datagram)
            self.bytes += len(datagram)
        while self.bytes > QUEUE_BYTES:
            self.bytes -= len(self._waiting.popleft())
            self.dropped += 1

    def take(self) -> bytes | None:
        """Take the oldest datagram, None if there is none."""
        if not self._waiting:
            return None
        datagram = self._waiting.popleft()
        self.bytes -= len(datagram)
        return datagram


def hold_little(sock: Settable | None) -> None:
    """Let the kernel keep little that was not sent yet, so that what waits, waits in an outbox (tcp(7))."""
    if sock is not None and SYSTEM is System.LINUX:
        ask(sock, _NOTSENT_LOWAT)
