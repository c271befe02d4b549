"""STUN over real sockets on loopback, through ports of our own and through those of a node."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import Callable

import pytest

from clawchat.nat.mapping import Allocation, Dependence, classify
from clawchat.net import reflexive, stun
from clawchat.net.driver import Node
from clawchat.net.loop import run
from clawchat.net.port_opening import open_port
from clawchat.net.reflexive import Reflexive, Seen
from clawchat.net.sockets import RECEIVE_ROOM
from clawchat.net.stun import discover, measure_depth, resolve
from clawchat.values.address import Address, Path
from tests.net.fakes import FakeCore
from tests.net.gateways import HERE, FakeStun, answering
from tests.support.little_nat import LittleStun, success

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 and socket filters")
OUTSIDE = Address("203.0.113.9", 40_000)


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.005)


class TestResolving:
    def test_addresses_need_no_looking_up(self) -> None:
        found = run(resolve(["127.0.0.1", "stun:127.0.0.2:5", "[::1]"], ipv6=False))
        assert found == {"127.0.0.1": Address("127.0.0.1", 3478), "stun:127.0.0.2:5": Address("127.0.0.2", 5)}
        assert run(resolve(["127.0.0.1", "[::1]:7"], ipv6=True)) == {"[::1]:7": Address("::1", 7)}

    def test_a_name_that_is_slow_to_be_found_is_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stun, "RESOLVE_SECONDS", 0.01)

        async def body() -> None:
            async def sleep(*_: object, **__: object) -> list[object]:
                await asyncio.sleep(10)
                return []

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", sleep)
            assert await resolve(["a.invalid"], ipv6=False) == {}

        run(body())


class TestDiscovery:
    def test_servers_say_where_they_see_us(self) -> None:
        async def body() -> None:
            near, far = FakeStun(), FakeStun()
            async with answering(near.answer) as one, answering(far.answer) as other:
                told = await discover([one, other], HERE)
            mapping = classify(told.observations)
            assert mapping is not None
            assert (mapping.allocation, mapping.dependence) == (Allocation.PRESERVING, Dependence.ENDPOINT_INDEPENDENT)
            assert mapping.public_hosts == (HERE,)
            assert told.filtering is Dependence.UNKNOWN

        run(body())

    def test_a_silent_server_ends_it_in_time(self) -> None:
        async def body() -> None:
            server = FakeStun(silent=True)
            async with answering(server.answer) as address:
                told = await discover([address], HERE, limit=0.2)
            assert [each.reply for each in told.results] == [None]
            assert told.observations == []

        run(body())

    @linux
    def test_a_server_of_two_addresses_tells_that_nothing_is_filtered(self) -> None:
        async def body() -> None:
            server = LittleStun(("127.0.0.1", "127.0.0.2"), _free_ports())
            with contextlib.ExitStack() as stack:
                _serve(server, stack)
                told = await discover([server.main], HERE)
            assert told.filtering is Dependence.ENDPOINT_INDEPENDENT
            assert len(told.observations) == 5
            assert {each.server.host for each in told.observations} == {"127.0.0.1", "127.0.0.2"}

        run(body())

    @linux
    def test_a_server_on_this_machine_is_one_hop_away(self) -> None:
        async def body() -> None:
            server = FakeStun()
            async with answering(server.answer) as address:
                depth = await measure_depth(address, HERE)
            assert depth.hops == 1

        run(body())


def _free_ports() -> tuple[int, int]:
    """Find two ports that are free on both addresses; somebody could take them, but nobody does."""
    found: list[int] = []
    with contextlib.ExitStack() as stack:
        while len(found) < 2:
            first = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            second = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            first.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                second.bind(("127.0.0.2", first.getsockname()[1]))
                found.append(first.getsockname()[1])
    return found[0], found[1]


def _serve(server: LittleStun, stack: contextlib.ExitStack) -> None:
    """Bind all four sockets of a server and answer from whichever it says."""
    loop = asyncio.get_running_loop()
    sockets: dict[Address, socket.socket] = {}

    def answer(to: Address) -> None:
        data, source = sockets[to].recvfrom(2000)
        reply, origin = server.answer(data, to, Address(*source))
        sockets[origin].sendto(reply, source)

    for host in server.hosts:
        for port in server.ports:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((host, port))
            address = Address(host, port)
            sockets[address] = sock
            loop.add_reader(sock, answer, address)
            stack.callback(loop.remove_reader, sock)


@linux
@pytest.mark.parametrize("offload", [None, False], ids=["offload", "plain"])
def test_the_kernels_filter_lets_short_answers_of_stun_servers_in_and_no_other_short_datagrams(
    offload: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    port = open_port(1, Address(HERE, 0), offload=offload)
    answer = success(bytes(12), OUTSIDE)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data in (b"", b"abc", bytes(20), answer, answer.replace(b"\x21\x12", b"\x12\x21"), bytes(48)):
                sock.sendto(data, port.address)
        room = memoryview(bytearray(RECEIVE_ROOM))
        got = [bytes(batch.data) for _ in range(4) for batch in port.receive(room)]
    finally:
        port.close()
    assert got == [answer, bytes(48)]
    assert len(answer) == 32


class TestNode:
    def test_a_strangers_datagrams_go_to_who_listens_and_nobody_else(self) -> None:
        async def body() -> None:
            core = FakeCore()
            node = Node(core, on_event=lambda _: None, watch=False)
            handle = await node.open_port(Address(HERE, 0))
            heard: list[tuple[bytes, Path]] = []
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((HERE, 0))
                stranger = Address(*sock.getsockname())
                node.divert(stranger, lambda data, path: heard.append((data, path)))
                for data in (b"a" * 100, b"b" * 100, b"c" * 60):
                    sock.sendto(data, node.ports[handle].address)
                await until(lambda: len(heard) == 3)
                assert heard == [(data, Path(handle, stranger)) for data in (b"a" * 100, b"b" * 100, b"c" * 60)]
                assert core.received == []
                node.send_plain(b"to you", Path(handle, stranger))
                assert await asyncio.get_running_loop().run_in_executor(None, sock.recv, 100) == b"to you"
                node.divert(stranger, None)
                sock.sendto(b"d" * 100, node.ports[handle].address)
                await until(lambda: core.datagrams() == [b"d" * 100])
            await node.close(limit=0.1)
            node.send_plain(b"too late", Path(handle, stranger))

        run(body())

    def test_a_listener_that_fails_stops_nobody(self) -> None:
        async def body() -> None:
            def fails(_data: bytes, _path: Path) -> None:
                raise RuntimeError("it fails")

            problems: list[str] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context["message"]))
            core = FakeCore()
            node = Node(core, on_event=lambda _: None, watch=False)
            handle = await node.open_port(Address(HERE, 0))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((HERE, 0))
                node.divert(Address(*sock.getsockname()), fails)
                sock.sendto(bytes(100), node.ports[handle].address)
                await until(lambda: problems)
            await node.close(limit=0.1)

        run(body())


class TestReflexive:
    @staticmethod
    async def heard(servers: list[FakeStun], *, detect: bool = True) -> tuple[list[Seen], int]:
        """Let a node ask servers; return what was told first, and the node's own port."""
        core = FakeCore()
        node = Node(core, on_event=lambda _: None, watch=False)
        handle = await node.open_port(Address(HERE, 0))
        told: list[Seen] = []
        async with contextlib.AsyncExitStack() as stack:
            names = [str(await stack.enter_async_context(answering(each.answer))) for each in servers]
            asker = Reflexive(node, handle, names, on_change=told.append, detect=detect)
            await until(lambda: told or all(each.silent for each in servers))
            await asker.close()
        number = node.ports[handle].address.port
        await node.close(limit=0.1)
        assert core.received == []
        return told, number

    def test_a_port_learns_where_it_is_seen(self) -> None:
        servers = [FakeStun(OUTSIDE), FakeStun(OUTSIDE)]
        told, number = run(self.heard(servers))
        assert told[0].addresses == (OUTSIDE,)
        assert told[0].mapping is not None
        assert told[0].mapping.allocation is Allocation.ENDPOINT_INDEPENDENT
        assert [each.port for server in servers for each in server.requests] == [number, number]

    def test_an_address_that_every_peer_sees_another_of_is_not_told(self) -> None:
        told, _ = run(self.heard([FakeStun(OUTSIDE), FakeStun(Address("203.0.113.9", 60_000))]))
        assert told[0].addresses == ()
        assert told[0].mapping is not None
        assert told[0].mapping.allocation is Allocation.RANDOM

    def test_without_detection_one_server_is_enough(self) -> None:
        servers = [FakeStun(OUTSIDE), FakeStun(OUTSIDE)]
        told, _ = run(self.heard(servers, detect=False))
        assert told[0].addresses == (OUTSIDE,)
        assert servers[1].requests == []

    def test_it_asks_again_and_tells_changes_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reflexive, "KEEPALIVE", 0.02)

        async def body() -> None:
            server = FakeStun(OUTSIDE)
            node = Node(FakeCore(), on_event=lambda _: None, watch=False)
            handle = await node.open_port(Address(HERE, 0))
            told: list[Seen] = []
            async with answering(server.answer) as address:
                asker = Reflexive(node, handle, [str(address)], on_change=told.append)
                await until(lambda: len(server.requests) >= 4)
                assert len(told) == 1
                server.seen = Address("203.0.113.9", 41_000)
                await until(lambda: len(told) == 2)
                assert told[1].addresses == (server.seen,)
                await asker.close()
            await node.close(limit=0.1)

        run(body())
