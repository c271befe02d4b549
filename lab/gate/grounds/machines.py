"""Real networks as a ground: sockets in many namespaces or containers, all of them in this one process."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Final

from clawchat.values.address import Address
from lab.backends.machine import World
from lab.gate.ground import Arrival
from lab.model.plan import Plan

MAX_DATAGRAM: Final = 65_535

IP_RECVERR: Final = 11
"""Asks the kernel to keep ICMP messages for us (linux/in.h); Python has no name for it."""

ERROR_QUEUE_BYTES: Final = 512
"""Room for what the kernel tells of one ICMP message."""

ICMP_UNREACHABLE: Final = (3, 3)
"""Type and code of "port unreachable" (RFC 792)."""

ERROR_LAYOUT: Final = struct.Struct("=IBBBB")
"""errno, origin, type, code, pad: the head of sock_extended_err (linux/errqueue.h)."""

CALL_PATIENCE: Final = 1.0
"""Seconds that a TCP connection may take, which a gateway may drop in silence; it takes a millisecond."""

BACKLOG: Final = 64
"""Connections that wait to be taken up; nobody takes them, since being connected is all that is asked."""


class MachineSocket:
    """A real UDP socket in some namespace."""

    def __init__(self, made: socket.socket, address: Address) -> None:
        self._socket = made
        self._address = address
        self._refusals = 0

    @property
    def address(self) -> Address:
        """Return the node's own address and port."""
        return self._address

    def send(self, payload: bytes, to: Address, *, ttl: int | None = None) -> None:
        """Send a datagram; what the kernel still has to say about earlier ones does not keep it back."""
        extra = [] if ttl is None else [(socket.IPPROTO_IP, socket.IP_TTL, struct.pack("=i", ttl))]
        try:
            self._socket.sendmsg([payload], extra, 0, to)
        except OSError:
            self._read_errors()
            with contextlib.suppress(OSError):
                self._socket.sendmsg([payload], extra, 0, to)

    async def receive(self, patience: float) -> Arrival | None:
        """Return the next datagram; None when there was none for so many seconds."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while True:
                    try:
                        payload, source = await loop.sock_recvfrom(self._socket, MAX_DATAGRAM)
                        return Arrival(payload, Address(*source))
                    except OSError:
                        self._read_errors()
        return None

    async def refused(self, patience: float) -> bool:
        """Tell whether a closed port was complained about, waiting so many seconds for it."""
        self._read_errors()
        if not self._refusals and patience:
            await asyncio.sleep(patience)
            self._read_errors()
        return bool(self._refusals)

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()

    def _read_errors(self) -> None:
        while True:
            try:
                _, ancillary, _, _ = self._socket.recvmsg(0, ERROR_QUEUE_BYTES, socket.MSG_ERRQUEUE)
            except OSError:
                return
            for level, kind, data in ancillary:
                if (level, kind) == (socket.IPPROTO_IP, IP_RECVERR):
                    _, _, type_, code, _ = ERROR_LAYOUT.unpack_from(data)
                    self._refusals += (type_, code) == ICMP_UNREACHABLE


class MachineGround:
    """A plan built of namespaces or containers."""

    def __init__(self, world: World) -> None:
        self.plan: Plan = world.plan
        self._world = world

    def open(self, node: str, address: Address) -> MachineSocket:
        """Open a socket of a node."""
        made = self._world.machine(node).socket(socket.SOCK_DGRAM)
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        made.bind(address)
        return MachineSocket(made, address)

    def now(self) -> float:
        """Return the machine's time."""
        return time.monotonic()

    async def rest(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def connects(self, node: str, to: Address) -> bool:
        """Open a TCP connection and close it again."""
        with self._world.machine(node).socket(socket.SOCK_STREAM) as made:
            made.setblocking(False)
            try:
                async with asyncio.timeout(CALL_PATIENCE):
                    await asyncio.get_running_loop().sock_connect(made, to)
            except (OSError, TimeoutError):
                return False
        return True

    @contextlib.contextmanager
    def listening(self, host: str, ports: Sequence[int]) -> Iterator[None]:
        """Accept TCP connections at these ports of a public host for a while."""
        with contextlib.ExitStack() as stack:
            for port in ports:
                made = stack.enter_context(self._world.machine(host).socket(socket.SOCK_STREAM))
                made.bind((self.plan.hosts[host].addresses[0], port))
                made.listen(BACKLOG)
            yield
