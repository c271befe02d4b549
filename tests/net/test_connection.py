"""Connections between two real endpoints over loopback sockets, with the kernel's offloads and without."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from clawchat.net.connection import Connection, connect
from clawchat.net.loop import run
from clawchat.net.stream import Stream, StreamAborted
from clawchat.values.errors import HandshakeFailed, LocallyClosed, PeerClosed, SessionClosed, UsageError
from tests.net.ends import LOOPBACK, Host, joined, slot_for
from tests.net.fakes import PEER


@pytest.fixture(params=[None, False], ids=["offload", "plain"])
def offload(request: pytest.FixtureRequest) -> bool | None:
    choice: bool | None = request.param
    return choice


async def read_all(stream: Stream) -> bytes:
    parts = []
    while part := await stream.read():
        parts.append(part)
    return b"".join(parts)


def test_both_ends_see_the_same_words(offload: bool | None) -> None:  # noqa: FBT001 - a fixture
    async def body(client: Connection, server: Connection) -> None:
        assert client.words == server.words
        assert client.path.remote != server.path.remote
        assert client.stats().datagram_size >= 1200

    joined(body, offload=offload)


@pytest.mark.parametrize("size", [0, 1, 70_000, 6_000_000])
def test_every_byte_arrives_and_comes_back(size: int, offload: bool | None) -> None:  # noqa: FBT001 - a fixture
    sent = os.urandom(size)

    async def echo(server: Connection) -> None:
        stream = await server.accept_stream()
        while data := await stream.read():
            await stream.write(data)
        await stream.finish()

    async def body(client: Connection, server: Connection) -> None:
        answering = asyncio.create_task(echo(server))
        stream = client.open_stream()
        reading = asyncio.create_task(read_all(stream))
        await stream.write(sent)
        await stream.finish()
        await stream.wait_delivered()
        assert await reading == sent
        await answering
        assert client.streams == []

    joined(body, offload=offload)


def test_callbacks_answer_in_the_turn_of_the_question() -> None:
    async def body(client: Connection, server: Connection) -> None:
        def attend(stream: Stream) -> None:
            def on_readable(readable: Stream) -> None:
                readable.write_now(readable.read_now()[::-1])

            stream.on_readable = on_readable

        server.on_stream = attend
        stream = client.open_stream()
        for question in (b"abc", b"drawer"):
            await stream.write(question)
            assert await stream.read_exactly(len(question)) == question[::-1]

    joined(body)


def test_a_stream_that_ends_within_a_message_says_so() -> None:
    async def body(client: Connection, server: Connection) -> None:
        stream = client.open_stream()
        await stream.write(b"half")
        await stream.finish()
        accepted = await server.accept_stream()
        with pytest.raises(EOFError):
            await accepted.read_exactly(8)
        assert accepted.at_end

    joined(body)


def test_a_writer_waits_for_room_and_a_slow_reader_loses_nothing() -> None:
    sent = os.urandom(12 << 20)

    async def body(client: Connection, server: Connection) -> None:
        stream = client.open_stream()
        writing = asyncio.create_task(stream.write(sent))
        accepted = await server.accept_stream()
        await asyncio.sleep(0.05)
        assert not writing.done()
        assert stream.room == 0
        got = bytearray()
        while len(got) < len(sent):
            got += await accepted.read(300_000)
        await writing
        assert got == sent

    joined(body)


def test_a_reset_reaches_the_reader() -> None:
    async def body(client: Connection, server: Connection) -> None:
        stream = client.open_stream()
        await stream.write(b"never mind")
        accepted = await server.accept_stream()
        stream.reset(7)
        with pytest.raises(StreamAborted) as caught:
            await read_all(accepted)
        assert caught.value.code == 7

    joined(body)


def test_a_stop_reaches_the_writer() -> None:
    async def body(client: Connection, server: Connection) -> None:
        stream = client.open_stream()
        await stream.write(b"would you like more?")
        (await server.accept_stream()).stop(9)
        with pytest.raises(StreamAborted) as caught:
            await stream.write(bytes(1 << 28))
        assert caught.value.code == 9
        with pytest.raises(StreamAborted):
            await stream.wait_delivered()

    joined(body)


def test_one_reader_at_a_time() -> None:
    async def body(client: Connection, _server: Connection) -> None:
        stream = client.open_stream()
        first = asyncio.create_task(stream.read())
        await asyncio.sleep(0)
        with pytest.raises(UsageError):
            await stream.read()
        first.cancel()

    joined(body)


def test_datagrams_and_pings(offload: bool | None) -> None:  # noqa: FBT001 - a fixture
    async def body(client: Connection, server: Connection) -> None:
        got: asyncio.Queue[bytes] = asyncio.Queue()
        server.on_datagram = server.send_datagram
        client.on_datagram = got.put_nowait
        client.send_datagram(b"hello")
        assert await got.get() == b"hello"
        rtts = await asyncio.gather(client.ping(), client.ping(), server.ping())
        assert all(0 < rtt < 5 for rtt in rtts)
        with pytest.raises(UsageError):
            client.send_datagram(bytes(2000))

    joined(body, offload=offload)


def test_closing_delivers_what_was_written_and_tells_both_ends() -> None:
    async def body(client: Connection, server: Connection) -> None:
        told: list[SessionClosed] = []
        client.on_closed = told.append
        stream = client.open_stream()
        await stream.write(b"last words")
        await stream.finish()
        accepted = await server.accept_stream()
        client.close(3, "that was all")
        assert isinstance(await client.wait_closed(), LocallyClosed)
        error = await server.wait_closed()
        assert isinstance(error, PeerClosed)
        assert (error.close_code, error.reason) == (3, "that was all")
        assert told == [client.error]
        assert await read_all(accepted) == b"last words"

    joined(body)


def test_whoever_waits_learns_that_the_session_is_over() -> None:
    async def body(client: Connection, server: Connection) -> None:
        stream = client.open_stream()
        notified: list[Stream] = []
        stream.on_readable = notified.append
        waiting = [
            asyncio.create_task(client.accept_stream()),
            asyncio.create_task(stream.read()),
            asyncio.create_task(stream.wait_delivered()),
        ]
        await server.ping()  # so that it knows how long to linger
        server.close()
        for task in waiting:
            with pytest.raises(PeerClosed):
                await task
        assert notified == [stream]
        for call in (client.open_stream, lambda: client.send_datagram(b""), lambda: stream.write_now(b"")):
            with pytest.raises(PeerClosed):
                call()
        for asked in (client.ping(), client.accept_stream(), stream.write(b"x"), stream.finish()):
            with pytest.raises(PeerClosed):
                await asked

    joined(body)


def test_a_silent_server_fails_the_handshake_in_time() -> None:
    async def main() -> None:
        host = await Host(offload=None).open()
        begun = time.monotonic()
        with pytest.raises(HandshakeFailed):
            await connect(host.node, slot_for(LOOPBACK._replace(port=9)).credential, port=host.port, timeout=0.05)
        assert time.monotonic() - begun < 5
        await host.node.close()

    run(main())


def test_a_cancelled_handshake_leaves_nothing_behind() -> None:
    async def main() -> None:
        host = await Host(offload=None).open()
        task = asyncio.create_task(connect(host.node, slot_for(PEER).credential, port=host.port, timeout=30))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert host.endpoint.next_timeout() is None
        await host.node.close()

    run(main())


def test_closing_a_node_tells_its_peers_at_once() -> None:
    async def main() -> None:
        server, client = await Host(offload=None).open(), await Host(offload=None).open()
        connection = await connect(client.node, server.invite().credential, port=client.port, timeout=10)
        await server.answered.get()
        await server.node.close(code=2, reason="going home")
        error = await asyncio.wait_for(connection.wait_closed(), 5)
        assert isinstance(error, PeerClosed)
        assert error.reason == "going home"
        await client.node.close()

    run(main())


def test_twenty_sessions_at_once(offload: bool | None) -> None:  # noqa: FBT001 - a fixture
    async def main() -> None:
        server, client = await Host(offload=offload).open(), await Host(offload=offload).open()

        async def serve(connection: Connection) -> None:
            stream = await connection.accept_stream()
            await stream.write(await read_all(stream))
            await stream.finish()

        tasks: list[asyncio.Task[None]] = []
        server.on_connection = lambda connection: tasks.append(asyncio.create_task(serve(connection)))

        async def visit(number: int) -> None:
            connection = await connect(client.node, server.invite().credential, port=client.port, timeout=20)
            stream = connection.open_stream()
            data = bytes([number]) * 50_000
            await stream.write(data)
            await stream.finish()
            assert await read_all(stream) == data

        await asyncio.gather(*(visit(number) for number in range(20)))
        await asyncio.gather(*tasks)
        await asyncio.gather(client.node.close(), server.node.close())

    run(main())
