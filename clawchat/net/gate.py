"""A port on the event loop: what its socket does not take at once waits here, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from clawchat.net.sockets import UdpPort
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address


class _Waiting(NamedTuple):
    data: bytes
    size: int
    remote: Address
    ttl: int | None


class Backlog:
    """How many bytes wait for the sockets of a node."""

    __slots__ = ("bytes",)

    def __init__(self) -> None:
        self.bytes = 0


class Gate:
    """Watch a port for reading, send through it, and hold what must wait.

    ``on_readable`` is called when something arrived, ``on_drained`` when the last waiting datagram is gone,
    ``on_broken`` when only a new socket helps: answer with ``replace`` or ``close``.
    """

    __slots__ = (
        "_backlog",
        "_loop",
        "_on_broken",
        "_on_drained",
        "_on_readable",
        "_resume",
        "_waiting",
        "_watched",
        "port",
    )

    def __init__(  # noqa: PLR0913 - the three it calls
        self,
        port: UdpPort,
        loop: asyncio.AbstractEventLoop,
        backlog: Backlog,
        *,
        on_readable: Callable[[Gate], None],
        on_drained: Callable[[], None],
        on_broken: Callable[[Gate], None],
    ) -> None:
        self._loop = loop
        self._backlog = backlog
        self._on_readable = on_readable
        self._on_drained = on_drained
        self._on_broken = on_broken
        self._waiting: deque[_Waiting] = deque()
        self._resume: asyncio.Handle | None = None
        self._watched = -1
        self._watch(port)

    def send(self, transmit: Transmit) -> None:
        """Send a batch, behind whatever waits."""
        data, size, path, ttl = transmit
        taken = 0 if self._waiting else self.port.send(data, size, path.remote, ttl)
        if taken < len(data):
            self._waiting.append(_Waiting(bytes(data[taken:]), size, path.remote, ttl))
            self._backlog.bytes += len(data) - taken
            if len(self._waiting) == 1:
                self._wait()

    def shut(self) -> None:
        """Close the socket, but keep what waits for the next one."""
        if self._watched >= 0:
            self._calm()
            self._loop.remove_reader(self._watched)
            self._watched = -1
            self.port.close()

    def replace(self, port: UdpPort) -> None:
        """Go on with a new socket under the same handle."""
        self.shut()
        self._watch(port)
        self._drain()

    def close(self) -> None:
        """Close the socket; what waits is lost."""
        self.shut()
        self._backlog.bytes -= sum(len(each.data) for each in self._waiting)
        self._waiting.clear()

    def _watch(self, port: UdpPort) -> None:
        self.port = port
        self._watched = port.fileno()
        self._loop.add_reader(self._watched, self._on_readable, self)

    def _wait(self) -> None:
        if self.port.broken:
            self._resume = self._loop.call_soon(self._on_broken, self)
        elif self.port.pause:
            self._resume = self._loop.call_later(self.port.pause, self._drain)
        else:
            self._loop.add_writer(self._watched, self._drain)

    def _calm(self) -> None:
        self._loop.remove_writer(self._watched)
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None

    def _drain(self) -> None:
        self._calm()
        while self._waiting:
            data, size, remote, ttl = self._waiting.popleft()
            taken = self.port.send(data, size, remote, ttl)
            self._backlog.bytes -= taken
            if taken < len(data):
                self._waiting.appendleft(_Waiting(data[taken:], size, remote, ttl))
                self._wait()
                return
        self._on_drained()
