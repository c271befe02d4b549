from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from clawchat.net import control
from clawchat.net.control import Channel, ControlServer, call, open_channel
from clawchat.values.errors import PersonalError

pytestmark = pytest.mark.skipif(not control.SUPPORTED, reason="this system has no unix sockets")


async def status(request: Mapping[str, Any], _: Channel) -> Mapping[str, object]:
    return {"asked": dict(request), "text": "zwölf"}


async def refuse(_: Mapping[str, Any], __: Channel) -> Mapping[str, object]:
    raise PersonalError("CC-NAME", "no such name", "Use another.")


async def echo(_: Mapping[str, Any], channel: Channel) -> None:
    await channel.send({"ok": True, "hello": "there"})
    async for value in channel.objects():
        await channel.send({"echo": value})


HANDLERS = {"status": status, "refuse": refuse, "echo": echo}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


@contextlib.asynccontextmanager
async def serving(path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, HANDLERS)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def ask(path: Path, request: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - what a request takes
    async def talk() -> dict[str, Any]:
        async with serving(path):
            return await asyncio.to_thread(call, path, request, **arguments)

    return asyncio.run(talk())


def refusal(path: Path, request: str) -> PersonalError:
    with pytest.raises(PersonalError) as caught:
        ask(path, request)
    return caught.value


def test_a_request_is_answered(path: Path) -> None:
    assert ask(path, "status", room="größe") == {"asked": {"request": "status", "room": "größe"}, "text": "zwölf"}


def test_an_error_reaches_the_caller_whole(path: Path) -> None:
    error = refusal(path, "refuse")
    assert (error.code, error.cause, error.action) == ("CC-NAME", "no such name", "Use another.")


def test_an_unknown_request_is_a_usage_error(path: Path) -> None:
    assert refusal(path, "dance").code == "CC-USAGE"


def test_nobody_there(path: Path) -> None:
    with pytest.raises(PersonalError) as caught:
        call(path, "status")
    assert caught.value.code == "CC-NOT-RUNNING"


def test_a_socket_left_behind_is_nobody(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(PersonalError) as caught:
        call(path, "status")
    assert caught.value.code == "CC-NOT-RUNNING"


def test_a_socket_left_behind_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert ask(path, "status")["text"] == "zwölf"


def test_nobody_else_may_connect(path: Path) -> None:
    async def look() -> tuple[int, bool]:
        async with serving(path):
            mode = stat.S_IMODE(path.stat().st_mode)
        return mode, path.exists()

    assert asyncio.run(look()) == (0o600, False)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="this system does not say who connects")
def test_another_user_gets_no_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    monkeypatch.setattr(control, "_CREDENTIALS", _SomebodyElse())
    with pytest.raises(PersonalError) as caught:
        ask(path, "status")
    assert caught.value.code == "CC-CONTROL-DENIED"


class _SomebodyElse:
    size = 12

    def unpack(self, _: bytes) -> tuple[int, int, int]:
        return 1, 4711, 4711


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"not json\n", b'{"request": 5}\n', b"\xff\xfe\n", b"[" * 5000 + b"\n"]
)
def test_nonsense_ends_the_connection_not_the_server(path: Path, line: bytes) -> None:
    async def talk() -> tuple[bytes, dict[str, Any]]:
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(line)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
            return answer, await asyncio.to_thread(call, path, "status")

    answer, after = asyncio.run(talk())
    assert answer == b"" or b"CC-USAGE" in answer
    assert after["text"] == "zwölf"


def test_an_endless_line_ends_the_connection(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_LINE_BYTES", 1000)

    async def talk() -> bytes:
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"x" * 5000)
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(talk()) == b""


def test_a_lasting_connection_carries_objects_both_ways(path: Path) -> None:
    async def talk() -> tuple[dict[str, Any], dict[str, Any] | None, dict[str, Any] | None]:
        async with serving(path) as server:
            channel, hello = await open_channel(path, "echo")
            await channel.send({"n": 1})
            echoed = await channel.receive()
            await server.close()
            end = await channel.receive()
            await channel.close()
            return hello, echoed, end

    assert asyncio.run(talk()) == ({"hello": "there"}, {"echo": {"n": 1}}, None)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems refuse long socket paths")
def test_a_path_longer_than_the_system_takes(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    assert ask(deep / "control.sock", "status")["text"] == "zwölf"


def test_a_socket_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    error = refusal(tmp_path / "missing" / "control.sock", "status")
    assert error.code == "CC-READ-ONLY"
    assert "control socket" in error.cause


def test_a_program_that_hangs_is_reported(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        with pytest.raises(PersonalError) as caught:
            call(path, "status", timeout=0.05)
    assert "did not answer" in caught.value.cause
