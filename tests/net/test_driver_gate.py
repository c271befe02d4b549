"""Sockets that are full, broken or gone: nothing is lost, nothing spins."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from clawchat.net.error_queue import PathError
from clawchat.net.gate import Backlog, Gate
from clawchat.net.ports import Ports
from clawchat.net.socket_errors import System
from clawchat.net.sockets import UdpPort
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError
from tests.net.fakes import FULL, OTHER, PEER, FakeCore, FakeSocket, datagrams, failure, port_on

ENOBUFS, EPERM = 105, 1


class FakeLoop:
    """An event loop's book of who waits for what; the test turns it by hand."""

    def __init__(self) -> None:
        self.readers: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self.writers: dict[int, Callable[[], object]] = {}
        self.calls: deque[FakeHandle] = deque()

    def add_reader(self, fd: int, callback: Callable[..., object], *arguments: object) -> None:
        self.readers[fd] = callback, arguments

    def remove_reader(self, fd: int) -> None:
        self.readers.pop(fd, None)

    def add_writer(self, fd: int, callback: Callable[[], object]) -> None:
        self.writers[fd] = callback

    def remove_writer(self, fd: int) -> None:
        self.writers.pop(fd, None)

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> FakeHandle:
        self.calls.append(FakeHandle(0, callback, arguments))
        return self.calls[-1]

    def call_later(self, delay: float, callback: Callable[..., object], *arguments: object) -> FakeHandle:
        self.calls.append(FakeHandle(delay, callback, arguments))
        return self.calls[-1]

    def turn(self) -> None:
        for callback in list(self.writers.values()):
            callback()
        for _ in range(len(self.calls)):
            call = self.calls.popleft()
            if not call.cancelled:
                call.callback(*call.arguments)


class FakeHandle:
    def __init__(self, delay: float, callback: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.delay = delay
        self.callback = callback
        self.arguments = arguments
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Scene:
    """A gate on a fake socket and a fake loop."""

    def __init__(self, system: System = System.LINUX) -> None:
        self.loop = FakeLoop()
        self.sock = FakeSocket()
        self.backlog = Backlog()
        self.drained = 0
        self.broken: list[Gate] = []
        self.gate = Gate(
            port_on(self.sock, system=system),
            self.loop,  # type: ignore[arg-type]
            self.backlog,
            on_readable=lambda _gate: None,
            on_drained=self.count,
            on_broken=self.broken.append,
        )

    def count(self) -> None:
        self.drained += 1


def batch(data: bytes, size: int = 100, remote: Address = PEER) -> Transmit:
    return Transmit(memoryview(data), size, Path(0, remote))


def test_what_a_full_socket_does_not_take_waits_in_order() -> None:
    scene = Scene()
    sent = datagrams(6, 100)
    scene.sock.refusals += [None, FULL, FULL]
    buffer = bytearray(b"".join(sent[:4]))
    scene.gate.send(Transmit(memoryview(buffer), 100, Path(0, PEER)))
    buffer[:] = bytes(400)  # the endpoint uses its buffer again
    scene.gate.send(batch(b"".join(sent[4:]), remote=OTHER))
    assert scene.sock.datagrams() == sent[:1]
    assert scene.backlog.bytes == 500
    scene.loop.turn()
    assert scene.backlog.bytes == 0 or scene.loop.writers
    while scene.loop.writers:
        scene.loop.turn()
    assert scene.sock.datagrams() == sent
    assert [remote for _, remote in scene.sock.sent] == [PEER] * 4 + [OTHER] * 2
    assert scene.backlog.bytes == 0
    assert scene.drained == 1


def test_a_full_interface_queue_is_tried_again_after_a_pause_not_in_a_spin() -> None:
    scene = Scene()
    scene.sock.refusals += [failure(ENOBUFS)] * 4
    sent = datagrams(2, 100)
    scene.gate.send(batch(b"".join(sent)))
    assert not scene.loop.writers
    assert [call.delay > 0 for call in scene.loop.calls] == [True]
    while scene.loop.calls:
        scene.loop.turn()
    assert scene.sock.datagrams() == sent
    assert scene.drained == 1


def test_closing_forgets_what_waits() -> None:
    scene = Scene()
    scene.sock.refusals += [FULL] * 2
    scene.gate.send(batch(bytes(100)))
    scene.gate.send(batch(bytes(100)))
    scene.gate.close()
    scene.gate.close()
    assert scene.backlog.bytes == 0
    assert scene.sock.closed
    assert not scene.loop.readers
    assert not scene.loop.writers


def test_a_broken_socket_is_told_and_its_data_goes_through_the_next() -> None:
    scene = Scene(System.BSD)
    scene.sock.refusals += [failure(EPERM)] * 2
    scene.gate.send(batch(b"a" * 100))
    scene.gate.send(batch(b"b" * 100))
    scene.loop.turn()
    assert scene.broken == [scene.gate]
    fresh = FakeSocket()
    scene.gate.replace(port_on(fresh, system=System.BSD))
    assert fresh.datagrams() == [b"a" * 100, b"b" * 100]
    assert scene.sock.closed
    assert list(scene.loop.readers) == [3]


class Shop:
    """Where ports are opened: each gets a fake socket; what stands in ``refused`` can't be had."""

    def __init__(self) -> None:
        self.core = FakeCore()
        self.loop = FakeLoop()
        self.sockets: list[FakeSocket] = []
        self.asked: list[Address] = []
        self.refused: set[Address] = set()
        self.icmp: list[PathError] = []
        self.ports = Ports(
            self.core,
            self.loop,  # type: ignore[arg-type]
            on_readable=lambda _gate: None,
            on_drained=lambda: None,
            on_icmp=self.icmp.append,
            opener=self.open,
        )

    def open(self, handle: int, address: Address, *, offload: bool | None) -> UdpPort:
        assert offload is None
        self.asked.append(address)
        if address in self.refused:
            raise PersonalError("CC-PORT-BUSY", "taken")
        self.sockets.append(FakeSocket())
        return port_on(self.sockets[-1], system=System.BSD, handle=handle)


def test_a_lost_socket_is_replaced_at_the_same_number() -> None:
    shop = Shop()
    handle = shop.ports.open(Address("203.0.113.1", 5000))
    shop.ports.mend(shop.ports.gates[handle])
    assert shop.asked == [Address("203.0.113.1", 5000)] * 2
    assert shop.core.told == [("opened", 0), ("opened", 0), ("network",)]
    assert [sock.closed for sock in shop.sockets] == [True, False]


def test_or_at_another_number_or_anywhere() -> None:
    shop = Shop()
    handle = shop.ports.open(Address("0.0.0.0", 5000))
    gate = shop.ports.gates[handle]
    shop.refused = {Address("203.0.113.1", 5000), Address("203.0.113.1", 0)}
    shop.ports.mend(gate)
    assert shop.asked[1:] == [Address("203.0.113.1", 5000), Address("203.0.113.1", 0), Address("0.0.0.0", 0)]
    assert shop.core.told[-1] == ("network",)


def test_a_port_that_can_not_be_replaced_is_given_up() -> None:
    shop = Shop()
    gate = shop.ports.gates[shop.ports.open(Address("203.0.113.1", 5000))]
    shop.refused = {Address("203.0.113.1", 5000), Address("203.0.113.1", 0)}
    shop.ports.mend(gate)
    assert shop.core.told[-1] == ("failed", 0)
    assert not shop.ports.gates
    shop.ports.mend(gate)
    assert shop.core.told.count(("failed", 0)) == 1


def test_a_port_that_breaks_again_at_once_is_given_up() -> None:
    shop = Shop()
    gate = shop.ports.gates[shop.ports.open(Address("203.0.113.1", 5000))]
    shop.ports.mend(gate)
    shop.ports.mend(gate)
    assert shop.core.told[-1] == ("failed", 0)
    assert not shop.ports.gates


def test_an_expired_time_to_live_is_told_to_the_program_only() -> None:
    shop = Shop()
    gate = shop.ports.gates[shop.ports.open(Address("203.0.113.1", 5000))]
    expired = PathError(Path(0, PEER), "TTL-EXPIRED", "198.51.100.1")
    refused = PathError(Path(0, PEER), "EHOSTUNREACH", "198.51.100.2")
    gate.port.reports += [expired, refused]
    shop.ports.report(gate)
    assert shop.icmp == [expired, refused]
    assert shop.core.told[1:] == [("path", Path(0, PEER), "EHOSTUNREACH")]
    assert not gate.port.reports


def test_the_loop_that_gates_use_is_asyncios() -> None:
    """The fake loop above has the methods of the real one."""
    for name in ("add_reader", "remove_reader", "add_writer", "remove_writer", "call_soon", "call_later"):
        assert hasattr(asyncio.AbstractEventLoop, name)
