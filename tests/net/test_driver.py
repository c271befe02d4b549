"""The driver over loopback sockets, with an endpoint that does what the test says."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from clawchat.net.driver import Node
from clawchat.net.error_queue import PathError
from clawchat.net.loop import LagMeter, run, selector_loop
from clawchat.net.socket_errors import System
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError, UsageError
from clawchat.values.events import ClosePort, DatagramReceived, Event, OpenPort
from tests.net.fakes import FakeCore, datagrams

LOOPBACK = Address("127.0.0.1", 0)
Body = Callable[[], Coroutine[Any, Any, None]]


@pytest.fixture(params=[None, False], ids=["offload", "plain"])
def offload(request: pytest.FixtureRequest) -> bool | None:
    choice: bool | None = request.param
    return choice


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until something is so; fail after five seconds."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.001)


class End:
    """A node on a fake endpoint."""

    def __init__(self, *, offload: bool | None = None, **how: Any) -> None:  # noqa: ANN401 - passed on to Node
        self.core = FakeCore()
        self.events: list[Event] = []
        self.node = Node(self.core, on_event=self.events.append, offload=offload, watch=False, **how)

    async def open(self) -> End:
        self.handle = await self.node.open_port(LOOPBACK)
        return self

    @property
    def address(self) -> Address:
        return self.core.addresses[self.handle]

    def batch(self, data: bytes, size: int, remote: Address) -> Transmit:
        return Transmit(data, size, Path(self.handle, remote))


def with_ends(
    count: int,
    body: Callable[..., Coroutine[Any, Any, None]],
    **how: Any,  # noqa: ANN401 - passed on to Node
) -> None:
    async def main() -> None:
        ends = [await End(**how).open() for _ in range(count)]
        try:
            await body(*ends)
        finally:
            for end in ends:
                await end.node.close()

    run(main())


def test_batches_go_from_endpoint_to_endpoint(offload: bool | None) -> None:  # noqa: FBT001 - a fixture
    sent = datagrams(500, 1200)

    async def body(a: End, b: End) -> None:
        for at in range(0, 500, 50):
            a.core.send(a.batch(b"".join(sent[at : at + 50]), 1200, b.address))
        a.node.flush()
        await until(lambda: len(b.core.datagrams()) == 500)
        assert b.core.datagrams() == sent
        assert {path for *_, path in b.core.received} == {Path(b.handle, a.address)}

    with_ends(2, body, offload=offload)


def test_an_answer_leaves_in_the_same_turn(offload: bool | None) -> None:  # noqa: FBT001 - a fixture
    async def body(a: End, b: End) -> None:
        b.core.on_receive = lambda data, size, path: b.core.send(Transmit(data[::-1], size, path))
        a.core.send(a.batch(b"ping" * 20, 80, b.address))
        a.node.flush()
        await until(lambda: a.core.received)
        assert a.core.datagrams() == [b"gnip" * 20]

    with_ends(2, body, offload=offload)


def test_what_a_program_does_in_an_event_leaves_in_the_same_turn() -> None:
    async def main() -> None:
        core = FakeCore()
        a = await End().open()

        def on_event(event: Event) -> None:
            assert event == DatagramReceived(7, b"hello")
            core.send(Transmit(b"x" * 60, 60, Path(0, a.address)))
            node.flush()  # an inner flush leaves it to the outer one

        node = Node(core, on_event=on_event, watch=False)
        await node.open_port(LOOPBACK)
        core.happened.append(DatagramReceived(7, b"hello"))
        node.flush()
        assert not core.outgoing
        await until(lambda: a.core.received)
        await node.close()
        await a.node.close()

    run(main())


def test_a_listener_hears_of_its_session_first_and_alone() -> None:
    async def body(a: End) -> None:
        heard: list[tuple[str, Event]] = []
        a.node.attach(1, lambda event: heard.append(("one", event)))
        a.node.attach(2, lambda event: heard.append(("two", event)))
        first, second = DatagramReceived(1, b"a"), DatagramReceived(2, b"b")
        a.core.happened += [first, second]
        a.node.flush()
        a.node.detach(1)
        a.core.happened.append(first)
        a.node.flush()
        assert heard == [("one", first), ("two", second)]
        assert a.events == [first, second, first]

    with_ends(1, body)


def test_a_program_that_fails_in_an_event_stops_nothing() -> None:
    async def main() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        seen: list[Event] = []

        def on_event(event: Event) -> None:
            seen.append(event)
            raise ValueError("a program's mistake")

        core = FakeCore()
        node = Node(core, on_event=on_event, watch=False)
        core.happened += [DatagramReceived(1, b""), DatagramReceived(2, b"")]
        node.flush()
        assert len(seen) == len(complaints) == 2
        await node.close()

    run(main())


def test_writes_of_one_turn_leave_together() -> None:
    async def body(a: End) -> None:
        asked = 0
        transmits = a.core.transmits

        def counting(*, now: float) -> Any:  # noqa: ANN401 - what the fake returns
            nonlocal asked
            asked += 1
            return transmits(now=now)

        a.core.transmits = counting  # type: ignore[method-assign]
        for _ in range(10):
            a.node.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert asked == 1

    with_ends(1, body)


def test_what_is_pushed_leaves_before_the_turn_is_over() -> None:
    async def body(a: End, b: End) -> None:
        event = DatagramReceived(1, b"later")
        a.core.happened.append(event)
        a.core.send(a.batch(b"x" * 60, 60, b.address))
        a.node.push()
        assert not a.core.outgoing
        assert not a.events
        await until(lambda: a.events == [event] and b.core.received)

    with_ends(2, body)


# --- time ------------------------------------------------------------------------------------------


def test_the_timer_fires_and_an_earlier_one_goes_before() -> None:
    async def body(a: End) -> None:
        now = time.monotonic()
        a.core.deadline = now + 30
        a.node.flush()
        a.core.deadline = now + 0.01
        a.node.flush()
        await until(lambda: a.core.timeouts)
        assert a.core.timeouts[0] >= now + 0.01
        assert len(a.core.timeouts) == 1

    with_ends(1, body)


def test_a_deadline_that_moved_later_is_kept() -> None:
    async def body(a: End) -> None:
        now = time.monotonic()
        a.core.deadline = now + 0.005
        a.node.flush()
        a.core.deadline = now + 0.03
        a.node.flush()
        await until(lambda: a.core.timeouts)
        assert a.core.timeouts[0] >= now + 0.03

    with_ends(1, body)


def test_timers_live_while_an_endpoint_always_has_more_to_send() -> None:
    async def body(a: End, b: End) -> None:
        endless = a.batch(bytes(60_000), 1200, b.address)

        def more(*, now: float) -> list[Transmit]:
            assert now > 0
            return [endless] * 4

        a.core.transmits = more  # type: ignore[method-assign]
        a.core.endless = True
        a.node.flush()
        async with asyncio.timeout(5):
            for _ in range(5):
                await asyncio.sleep(0.001)
        await until(lambda: b.core.received)
        a.core.endless = False
        del a.core.transmits

    with_ends(2, body)


def test_lag_is_measured_from_the_timers() -> None:
    async def body(a: End) -> None:
        a.core.deadline = time.monotonic() + 0.001
        a.node.flush()
        time.sleep(0.05)  # noqa: ASYNC251 - the loop is held up on purpose
        await until(lambda: a.core.timeouts)
        assert a.node.lag >= 0.04

    with_ends(1, body)


def test_the_lag_meter_forgets_after_a_minute() -> None:
    loop = selector_loop()
    try:
        meter = LagMeter(loop)
        meter.note(0.5)
        assert meter.worst == 0.5
        for _ in range(12):
            meter._beat()  # noqa: SLF001 - instead of waiting for a minute
        assert meter.worst < 0.5
        meter.stop()
        meter.stop()
    finally:
        loop.close()


# --- ports -----------------------------------------------------------------------------------------


def test_ports_are_opened_and_closed_as_the_endpoint_asks() -> None:
    async def body(a: End, b: End) -> None:
        a.core.happened += [OpenPort(7, None), OpenPort(8, LOOPBACK)]
        a.node.flush()
        assert set(a.core.addresses) == {a.handle, 7, 8}
        assert {address.host for address in a.core.addresses.values()} == {"127.0.0.1"}
        a.core.send(Transmit(b"x" * 60, 60, Path(7, b.address)))
        a.node.flush()
        await until(lambda: b.core.received)
        assert b.core.received[0][2].remote == a.core.addresses[7]
        assert not a.events
        assert await a.node.open_port(LOOPBACK) == 9
        a.core.happened += [ClosePort(7), ClosePort(7), ClosePort(99)]
        a.node.flush()
        assert set(a.node.ports) == {a.handle, 8, 9}
        a.core.send(Transmit(b"y" * 60, 60, Path(7, b.address)))
        a.node.flush()
        assert not a.core.outgoing

    with_ends(2, body)


def test_a_port_that_can_not_be_opened_is_told_to_the_endpoint() -> None:
    async def body(a: End) -> None:
        a.core.happened.append(OpenPort(5, Address("203.0.113.123", 0)))
        a.node.flush()
        assert ("failed", 5) in a.core.told

    with_ends(1, body)


def test_a_busy_port_is_told_to_the_program() -> None:
    async def body(a: End) -> None:
        with pytest.raises(PersonalError) as caught:
            await a.node.open_port(a.address)
        assert caught.value.code == "CC-PORT-BUSY"

    with_ends(1, body)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_icmp_is_told_to_endpoint_and_program() -> None:
    said: list[PathError] = []

    async def body(a: End, b: End) -> None:
        gone = b.address
        b.core.happened.append(ClosePort(b.handle))
        b.node.flush()
        a.core.send(a.batch(b"x" * 60, 60, gone))
        a.node.flush()
        path = Path(a.handle, gone)
        await until(lambda: ("path", path, "ECONNREFUSED") in a.core.told)
        assert said[:1] == [PathError(path, "ECONNREFUSED", "127.0.0.1")]

    with_ends(2, body, on_icmp=said.append)


# --- the end ---------------------------------------------------------------------------------------


def test_close_sends_what_the_endpoint_still_wants_to_send() -> None:
    async def main() -> None:
        a, b = await End().open(), await End().open()
        copies = 3
        a.core.open_sessions[1] = None  # type: ignore[assignment]

        def say_goodbye() -> None:
            nonlocal copies
            a.core.send(a.batch(b"bye" * 20, 60, b.address))
            copies -= 1
            if copies:
                a.core.deadline = time.monotonic() + 0.01
            else:
                a.core.open_sessions.clear()

        a.core.on_close = a.core.on_timeout = say_goodbye
        await a.node.close(code=4, reason="done")
        assert ("close", 4, "done") in a.core.told
        await until(lambda: len(b.core.received) == 3)
        assert a.node.ports == {}
        await a.node.close()
        a.node.wake()
        a.node.flush()
        with pytest.raises(UsageError):
            await a.node.open_port(LOOPBACK)
        await b.node.close()

    run(main())


def test_close_ends_though_the_endpoint_does_not() -> None:
    async def main() -> None:
        a = await End().open()
        a.core.open_sessions[1] = None  # type: ignore[assignment]
        await asyncio.wait_for(a.node.close(limit=0.02), 5)
        assert a.node.ports == {}

    run(main())


def test_a_tap_sees_every_datagram() -> None:
    class Tap:
        def __init__(self) -> None:
            self.seen: list[tuple[str, bytes, int, Path]] = []

        def received(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
            assert now > 0
            self.seen.append(("in", bytes(data), size, path))

        def sent(self, transmit: Transmit, *, now: float) -> None:
            assert now > 0
            self.seen.append(("out", bytes(transmit.data), transmit.size, transmit.path))

    tap = Tap()

    async def body(a: End, b: End) -> None:
        data = os.urandom(300)
        a.core.send(a.batch(data, 100, b.address))
        a.node.flush()
        await until(lambda: len(b.core.datagrams()) == 3)
        assert tap.seen[0] == ("out", data, 100, Path(a.handle, b.address))
        assert b"".join(each for way, each, *_ in tap.seen if way == "in") == data

    with_ends(2, body, tap=tap)


def test_junk_is_counted_by_the_endpoint_only() -> None:
    async def body(a: End) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for _ in range(200):
                sock.sendto(os.urandom(100), a.address)
        await until(lambda: len(a.core.datagrams()) == 200)
        assert not a.events

    with_ends(1, body)


def test_programs_run_on_a_selector_loop() -> None:
    async def main() -> type[asyncio.AbstractEventLoop]:
        return type(asyncio.get_running_loop())

    assert issubclass(run(main()), asyncio.SelectorEventLoop)


def test_on_windows_the_loop_wakes_up_for_ctrl_c() -> None:
    loop = selector_loop(system=System.WINDOWS)
    try:
        begun = loop.time()
        loop.run_until_complete(asyncio.sleep(0.3))
        assert loop.time() >= begun + 0.3
    finally:
        loop.close()
