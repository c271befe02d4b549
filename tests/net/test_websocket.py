"""WebSockets on real sockets: sealed datagrams through TCP, and strangers who meet a web server that has nothing."""

from __future__ import annotations

import asyncio
import os
import ssl
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawchat.net import websocket_caller, websocket_listener
from clawchat.net.connection import Connection, opened_session
from clawchat.net.doctor import egress
from clawchat.net.driver import Node
from clawchat.net.loop import run
from clawchat.net.tunnel import QUEUE_BYTES, Outbox
from clawchat.net.websocket import WebSocket, dial
from clawchat.net.websocket_caller import MAX_HEAD, Caller
from clawchat.net.websocket_listener import Listener
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import FIRST_TUNNEL, Address, Path
from clawchat.values.errors import PersonalError
from clawchat.values.limits import MAX_DATAGRAM
from tests.net.ends import LOOPBACK, Host, slot_for

DOOR: Final = "0123456789abcdef"
NOWHERE: Final = Address("127.0.0.9", 9)
UPGRADE: Final = (
    f"GET /x/{DOOR} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
).encode()


class Relay(Host):
    """A node that takes WebSockets."""

    def __init__(self, *, total: int = 100, per_address: int = 100) -> None:
        super().__init__(offload=None)
        self.listener = Listener(self.node, [DOOR], total=total, per_address=per_address)
        self.place = LOOPBACK

    async def listen(self, tls: ssl.SSLContext | None = None) -> Relay:
        self.place = await self.listener.start(LOOPBACK, tls)
        return self

    def url(self, scheme: str = "ws", door: str = DOOR) -> str:
        return f"{scheme}://{self.place}/{door}"


@asynccontextmanager
async def relay(**limits: int) -> AsyncIterator[Relay]:
    found = await Relay(**limits).listen()
    try:
        yield found
    finally:
        found.listener.close()
        await found.node.close()


async def joined(found: Relay, tunnel: WebSocket, guest: Host) -> tuple[Connection, Connection]:
    """Join the relay by a WebSocket alone."""
    credential = slot_for(NOWHERE)
    found.endpoint.arm(credential, deadline=time.monotonic() + 60)
    attempt = guest.endpoint.connect(credential.credential, port=guest.port, now=time.monotonic(), direct=False)
    guest.endpoint.try_path(attempt, tunnel.path, now=time.monotonic())
    return await opened_session(guest.node, attempt), await found.answered.get()


async def until(so: Callable[[], bool]) -> None:
    while not so():  # noqa: ASYNC110 - what is waited for is a count that tells nobody
        await asyncio.sleep(0.01)


async def transfer(source: Connection, target: Connection, data: bytes) -> bytes:
    stream = source.open_stream()
    stream.write_now(data, fin=True)
    other = await target.accept_stream()
    got = bytearray()
    while piece := await other.read():
        got += piece
    return bytes(got)


def within(body: Callable[[], Coroutine[Any, Any, None]], seconds: float = 30) -> None:
    async def main() -> None:
        async with asyncio.timeout(seconds):
            await body()

    run(main())


def tls_files(place: FilePath) -> tuple[FilePath, FilePath]:
    certificate, key = place / "cert.pem", place / "key.pem"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=www", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*words, *names], check=True, capture_output=True)
    return certificate, key


# --- members -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_session_goes_by_websocket(tmp_path: FilePath, scheme: str) -> None:
    tls = None
    if scheme == "wss":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*tls_files(tmp_path))

    async def body() -> None:
        found = await Relay().listen(tls)
        guest = await Host(offload=None).open()
        tunnel = await dial(guest.node, [found.url(scheme)])
        assert tunnel is not None
        running = asyncio.create_task(tunnel.run())
        here, there = await joined(found, tunnel, guest)
        assert here.tunnelled
        assert there.tunnelled
        assert there.path.remote == Address("127.0.0.1", 0)
        data = os.urandom(1 << 20)
        assert await transfer(here, there, data) == data
        assert await transfer(there, here, data) == data
        assert found.listener.figures().websockets == 1
        await guest.node.close()
        await running
        await until(lambda: not found.listener.figures().connections)
        found.listener.close()
        await found.node.close()

    within(body)


def test_the_first_place_that_answers_is_taken() -> None:
    async def body() -> None:
        async with relay() as found:
            node = Node(Endpoint(random=os.urandom), on_event=lambda _: None, watch=False)
            tunnel = await dial(node, ["ws://127.0.0.9:9/x", found.url(door="wrong"), found.url()])
            assert tunnel is not None
            tunnel.close()
            assert await dial(node, ["ws://127.0.0.9:9/x", found.url(door="wrong"), "nonsense"]) is None
            await node.close()

    within(body)


def test_a_proxy_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        host, _, port = asked[-1].split()[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")

        async def pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(1 << 16):
                target.write(data)
            target.close()

        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer), return_exceptions=True)

    async def body() -> None:
        serving = await asyncio.start_server(proxy, "127.0.0.1", 0)
        port = serving.sockets[0].getsockname()[1]
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ws_proxy", "socks_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        async with relay() as found:
            guest = await Host(offload=None).open()
            tunnel = await dial(guest.node, [found.url()])
            assert tunnel is not None
            running = asyncio.create_task(tunnel.run())
            here, there = await joined(found, tunnel, guest)
            assert await transfer(here, there, bytes(5000)) == bytes(5000)
            assert asked == [f"CONNECT {found.place} HTTP/1.1".encode()]
            await guest.node.close()
            await running
        serving.close()
        await until(lambda: len(asyncio.all_tasks()) == 1)

    within(body)


def test_a_port_that_is_taken_is_told() -> None:
    async def body() -> None:
        async with relay() as found:
            other = Relay()
            with pytest.raises(PersonalError) as busy:
                await other.listener.start(found.place, None)
            assert busy.value.code == "CC-PORT-BUSY"
            await other.node.close()

    within(body)


def test_the_doctor_tells_whether_a_silent_relay_takes_websockets() -> None:
    async def body() -> None:
        async with relay() as found:
            slot = slot_for(NOWHERE)
            keys = slot.credential.keys()
            other = Listener(found.node, [bytes(keys.door).hex()], total=9, per_address=9)
            place = await other.start(LOOPBACK, None)
            known = replace(slot.credential, websocket=f"ws://{place}")
            names = [(check.name, check.outcome) for check in await egress.relay_checks([known])]
            assert names == [("relays", "fail"), ("WebSocket", "pass")]
            unknown = replace(known, websocket=f"ws://{found.place}")
            assert (await egress.relay_checks([unknown]))[-1].outcome == "fail"
            other.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(egress, "WAIT_SECONDS", 0.3)
        within(body)


# --- strangers -----------------------------------------------------------------------------------------


async def ask(found: Relay, data: bytes, *, linger: float = 2.0) -> bytes:
    """Send bytes over TCP; return all that comes back until the other end hangs up or falls silent."""
    reader, writer = await asyncio.open_connection(*found.place)
    writer.write(data)
    answer = bytearray()
    try:
        while piece := await asyncio.wait_for(reader.read(1 << 16), linger):
            answer += piece
    except (TimeoutError, ConnectionError):
        pass
    writer.transport.abort()
    return bytes(answer)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /index.html HTTP/1.0\r\n\r\n", 404),
        (b"GET / HTTP/1.1\nHost: a\n\n", 404),
        (UPGRADE.replace(DOOR.encode(), b"fedcba9876543210"), 404),
        (b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 404),
        (b"GET /" + DOOR.encode() + b" HTTP/1.1\r\nHost: a\r\n\r\n", 426),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"G" * (MAX_HEAD + 1), 400),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * MAX_HEAD, 400),
    ],
)
def test_a_stranger_meets_an_ordinary_web_server(request_: bytes, status: int) -> None:
    async def body() -> None:
        async with relay() as found:
            answer = await ask(found, request_)
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            for word in (b"claw", b"relay", b"python"):
                assert word not in answer.lower()
            assert found.listener.figures().websockets == 0
            assert found.listener.figures().strangers == (status != 426)

    within(body)


def test_head_gets_a_head() -> None:
    async def body() -> None:
        async with relay() as found:
            assert (await ask(found, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")).endswith(b"\r\n\r\n")

    within(body)


def frame(data: bytes, opcode: int = 2, *, fin: bool = True) -> bytes:
    """Write a masked WebSocket frame; the mask is nothing."""
    size = len(data)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes((0x80 * fin | opcode,)) + length + bytes(4) + data


def payload(answer: bytes) -> bytes:
    """Return what came after the upgrade, without the frames of a farewell."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    return b"" if rest[:1] == b"\x88" else rest


def test_junk_on_a_websocket_gets_nothing_back() -> None:
    async def body() -> None:
        async with relay() as found:
            junk = b"".join(frame(os.urandom(size)) for size in (0, 1, 16, 47, 48, 300, 1200, MAX_DATAGRAM) * 20)
            answer = await ask(found, UPGRADE + junk, linger=0.5)
            assert payload(answer) == b""
            assert sum(found.endpoint.drops.values()) >= 100

    within(body)


def test_the_control_gets_something_back() -> None:
    """The same question to a WebSocket that answers is seen by the test above."""

    async def body() -> None:
        async with relay() as found:
            answer = await ask(found, UPGRADE + frame(b"what they sent", opcode=9), linger=0.5)
            assert payload(answer).endswith(b"what they sent")  # a pong, which RFC 6455 asks for

    within(body)


@pytest.mark.parametrize(
    "wrong",
    [
        frame(bytes(MAX_DATAGRAM + 1)),
        frame(bytes(1000), fin=False) + frame(bytes(1000), opcode=0),
        frame(b"text", opcode=1),
        b"\x82\x05hello",
        b"\xff" * 20,
        frame(b"", opcode=0),
    ],
)
def test_what_is_no_datagram_closes_a_websocket(wrong: bytes) -> None:
    async def body() -> None:
        async with relay() as found:
            assert payload(await ask(found, UPGRADE + wrong)) == b""
            await until(lambda: not found.listener.figures().connections)

    within(body)


def test_a_datagram_in_pieces_is_put_together() -> None:
    arrived: list[bytes] = []

    class Listening(Listener):
        @property
        def arrived(self) -> Callable[[bytes, Path], None]:
            return lambda data, _path: arrived.append(data)

    async def body() -> None:
        found = Relay()
        found.listener = Listening(found.node, [DOOR], total=9, per_address=9)
        await found.listen()
        await ask(found, UPGRADE + frame(b"one ", fin=False) + frame(b"two", opcode=0) + frame(b"three"), linger=0.3)
        found.listener.close()
        await found.node.close()

    within(body)
    assert arrived == [b"one two", b"three"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=400), max_size=6), st.booleans())
def test_no_bytes_raise(pieces: list[bytes], upgraded: bool) -> None:  # noqa: FBT001 - Hypothesis fills them in by name
    class Transport(asyncio.Transport):
        closed = False

        def get_extra_info(self, name: str, default: object = None) -> object:
            return ("203.0.113.5", 5) if name == "peername" else default

        def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

        def get_write_buffer_size(self) -> int:
            return 0

        def write(self, data: bytes | bytearray | memoryview) -> None: ...

        def is_closing(self) -> bool:
            return self.closed

        def close(self) -> None:
            self.closed = True

        abort = close

    async def body() -> None:
        found = Relay()
        caller = Caller(found.listener, None)
        caller.connection_made(Transport())
        if upgraded:
            caller.data_received(UPGRADE)
            assert caller.path is not None
            assert caller.path.port >= FIRST_TUNNEL
        for piece in pieces:
            caller.data_received(piece)
        caller.send(b"x" * 100, 50)
        caller.connection_lost(None)
        assert found.listener.figures().connections == 0
        await found.node.close()

    within(body)


# --- limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limits", [{"total": 3}, {"per_address": 3}])
def test_there_are_only_so_many_callers(limits: dict[str, int]) -> None:
    async def body() -> None:
        async with relay(**limits) as found:
            callers = [await asyncio.open_connection(*found.place) for _ in range(5)]
            await until(lambda: found.listener.figures().refused >= 2)
            assert found.listener.figures().connections == 3
            for _, writer in callers:
                writer.transport.abort()
            await until(lambda: not found.listener.figures().connections)
            assert (await ask(found, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")

    within(body)


def test_who_says_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_caller, "HANDSHAKE_SECONDS", 0.2)

    async def body() -> None:
        async with relay() as found:
            assert await ask(found, b"GET / HTTP/1.1\r\n", linger=10) == b""
            assert found.listener.figures().connections == 0

    within(body)


def test_a_websocket_that_carries_no_session_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_listener, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(websocket_listener, "UNUSED_SECONDS", 0.2)

    async def body() -> None:
        async with relay() as found:
            guest = await Host(offload=None).open()
            tunnel = await dial(guest.node, [found.url()])
            assert tunnel is not None
            running = asyncio.create_task(tunnel.run())
            here, _ = await joined(found, tunnel, guest)
            await ask(found, UPGRADE, linger=10)  # until it is closed
            assert found.listener.figures().websockets == 1
            assert await here.ping() >= 0
            await guest.node.close()
            await running

    within(body)


def test_a_slow_reader_blocks_nobody_and_loses_the_oldest() -> None:
    async def body() -> None:
        async with relay() as found:
            reader, writer = await asyncio.open_connection(*found.place, limit=1 << 10)
            writer.write(UPGRADE)
            await reader.readuntil(b"\r\n\r\n")
            await until(lambda: found.listener.figures().websockets == 1)
            writer.transport.pause_reading()  # type: ignore[attr-defined] # a TCP transport can
            path = Path(FIRST_TUNNEL, Address("127.0.0.1", 0))
            for _ in range(100):
                found.node.send_plain(bytes(MAX_DATAGRAM) * 100, path)
            assert found.listener.figures().dropped > 0
            assert (await ask(found, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404")
            writer.transport.abort()

    within(body)


def test_an_outbox_drops_the_oldest_and_counts_it() -> None:
    box = Outbox()
    box.put(b"".join(bytes((number,)) * 1000 for number in range(250)), 1000)
    box.put(bytes((250,)) * 20_000, 1000)
    assert box.bytes <= QUEUE_BYTES
    taken = list(iter(box.take, None))
    assert taken[-1] == bytes((250,)) * 1000
    assert box.dropped == 270 - len(taken)
    assert box.bytes == 0
