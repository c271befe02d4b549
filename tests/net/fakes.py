"""Stand-ins: a socket that fails as any system's does, and an endpoint that does what a test says."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from clawchat.crypto.credential import Credential
from clawchat.net.socket_errors import System
from clawchat.net.socket_options import IPPROTO_IP, Option
from clawchat.net.sockets import Abilities, UdpPort
from clawchat.session.outbound import Transmit
from clawchat.session.session import Session
from clawchat.values.address import Address, Path
from clawchat.values.events import Event

Control = tuple[int, int, bytes]

PLAIN = Abilities(
    send_buffer=1 << 20,
    receive_buffer=1 << 20,
    segmentation=False,
    coalescing=False,
    filtered=False,
    unfragmented=True,
    error_queue=False,
    default_ttl=Option(IPPROTO_IP, 2, 64),
)
OFFLOAD = PLAIN._replace(segmentation=True, coalescing=True)
PEER = Address("203.0.113.7", 4000)
OTHER = Address("203.0.113.8", 4001)


FULL = BlockingIOError(11, "the socket is full")


def failure(code: int) -> OSError:
    """Make the error a system raises for a number of its own."""
    return OSError(code, "as the system says")


class FakeSocket:
    """A UDP socket: gives what ``arriving`` holds, takes what the refusals let through, and remembers it all."""

    def __init__(self) -> None:
        self.arriving: deque[tuple[bytes, int | None, tuple[Any, ...]] | OSError] = deque()
        self.refusals: deque[OSError | None] = deque()
        self.offload_refusals: deque[OSError | None] = deque()
        self.complaints: deque[tuple[bytes, list[Control], tuple[str, int]]] = deque()
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.calls: list[tuple[str, object]] = []
        self.closed = False

    def arrive(self, data: bytes, source: Address = PEER, size: int | None = None) -> None:
        """Let a datagram arrive, or several of ``size`` bytes that the kernel coalesced."""
        self.arriving.append((data, size, tuple(source)))

    def fileno(self) -> int:
        return 3

    def close(self) -> None:
        self.closed = True

    def _next(self) -> tuple[bytes, int | None, tuple[Any, ...]]:
        if not self.arriving:
            raise BlockingIOError
        item = self.arriving.popleft()
        if isinstance(item, OSError):
            raise item
        return item

    def recvfrom_into(self, buffer: memoryview, size: int, /) -> tuple[int, Any]:
        data, _, source = self._next()
        length = min(len(data), size)
        buffer[:length] = data[:length]
        return length, source

    def recvmsg_into(self, buffers: Iterable[memoryview], _ancillary: int, /) -> tuple[int, list[Control], int, Any]:
        data, size, source = self._next()
        (buffer,) = buffers
        buffer[: len(data)] = data
        return len(data), [] if size is None else [(17, 104, size.to_bytes(4, "little"))], 0, source

    def recvmsg(self, _size: int, _ancillary: int, _flags: int, /) -> tuple[bytes, list[Control], int, Any]:
        if not self.complaints:
            raise BlockingIOError
        data, controls, destination = self.complaints.popleft()
        return data, controls, 0x2000, destination

    @staticmethod
    def _refuse(refusals: deque[OSError | None]) -> None:
        if refusals and (refusal := refusals.popleft()) is not None:
            raise refusal

    def sendto(self, data: bytes | memoryview, address: tuple[str, int], /) -> int:
        self._refuse(self.refusals)
        self.calls.append(("sendto", len(data)))
        self.sent.append((bytes(data), address))
        return len(data)

    def sendmsg(
        self,
        buffers: Iterable[bytes | memoryview],
        ancillary: Iterable[Control],
        _flags: int,
        address: tuple[str, int],
        /,
    ) -> int:
        controls = {(level, kind): data for level, kind, data in ancillary}
        segment = controls.get((17, 103))
        self._refuse(self.refusals if segment is None else self.offload_refusals)
        self.calls.append(("sendmsg", controls))
        data = b"".join(buffers)
        size = int.from_bytes(segment, "little") if segment else len(data)
        self.sent.extend((data[i : i + size], address) for i in range(0, len(data), size))
        return len(data)

    def getsockopt(self, _level: int, _name: int, size: int, /) -> bytes:
        return bytes(size)

    def setsockopt(self, level: int, name: int, value: int | bytes, /) -> None:
        self.calls.append(("setsockopt", (level, name, value)))

    def datagrams(self) -> list[bytes]:
        return [data for data, _ in self.sent]


def port_on(
    sock: FakeSocket, abilities: Abilities = PLAIN, *, system: System = System.LINUX, handle: int = 0
) -> UdpPort:
    return UdpPort(sock, handle, Address("203.0.113.1", 5000), abilities, system=system)


def datagrams(count: int, size: int) -> list[bytes]:
    return [os.urandom(size) for _ in range(count)]


class FakeCore:
    """An endpoint that remembers what it is told and hands over what a test put into it."""

    def __init__(self) -> None:
        self.unix_offset = 0.0
        self.outgoing: deque[list[Transmit]] = deque()
        self.happened: deque[Event] = deque()
        self.received: list[tuple[bytes, int, Path]] = []
        self.told: list[tuple[object, ...]] = []
        self.addresses: dict[int, Address] = {}
        self.deadline: float | None = None
        self.timeouts: list[float] = []
        self.on_receive: Callable[[bytes, int, Path], None] = lambda _data, _size, _path: None
        self.on_timeout: Callable[[], None] = lambda: None
        self.on_close: Callable[[], None] = lambda: None
        self.open_sessions: dict[int, Session] = {}
        self.endless = False
        self.leaving = False

    @property
    def sessions(self) -> Mapping[int, Session]:
        return self.open_sessions

    def send(self, *transmits: Transmit) -> None:
        self.outgoing.append(list(transmits))

    def receive(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        assert now > 0
        self.received.append((bytes(data), size, path))
        self.on_receive(bytes(data), size, path)

    def datagrams(self) -> list[bytes]:
        return [data[i : i + size] for data, size, _ in self.received for i in range(0, len(data), size)]

    def transmits(self, *, now: float) -> Sequence[Transmit]:
        assert now > 0
        return self.outgoing.popleft() if self.outgoing else []

    def next_timeout(self) -> float | None:
        return self.deadline

    def handle_timeout(self, *, now: float) -> None:
        self.timeouts.append(now)
        self.deadline = None
        self.on_timeout()

    @property
    def busy(self) -> bool:
        return self.endless or bool(self.outgoing or self.happened)

    def events(self) -> Iterable[Event]:
        while self.happened:
            yield self.happened.popleft()

    def port_opened(self, handle: int, address: Address, *, now: float) -> None:
        assert now > 0
        self.addresses[handle] = address
        self.told.append(("opened", handle))

    def port_failed(self, handle: int, *, now: float) -> None:
        assert now > 0
        self.addresses.pop(handle, None)
        self.told.append(("failed", handle))

    def path_error(self, path: Path, name: str, *, now: float) -> None:
        assert now > 0
        self.told.append(("path", path, name))

    def network_changed(self, *, now: float) -> None:
        assert now > 0
        self.told.append(("network",))

    def connect(self, credential: Credential, *, port: int, now: float, timeout: float) -> int:
        assert now > 0
        self.told.append(("connect", credential, port, timeout))
        return 1

    def abandon(self, session_id: int) -> None:
        self.told.append(("abandon", session_id))

    def hop(self) -> None:
        self.told.append(("hop",))

    @property
    def port_moves(self) -> int:
        return self.told.count(("hop",))

    def compromise_session(self, session_id: int, *, now: float) -> None:
        assert now > 0
        self.told.append(("compromise", session_id))

    def compromise_all(self, *, now: float) -> None:
        assert now > 0
        self.told.append(("compromise",))

    def close_all(self, *, now: float, code: int, reason: str) -> None:
        assert now > 0
        self.told.append(("close", code, reason))
        self.on_close()
