from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.home import Home
from server.systemd import notify, watchdog
from tests.server.running import command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no systemd")


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind("notify")
        listener.settimeout(10)
        yield listener


def test_without_systemd_nobody_is_told() -> None:
    assert not notify("READY=1", {})


def test_a_manager_that_is_gone_is_no_error() -> None:
    assert not notify("READY=1", {"NOTIFY_SOCKET": "nowhere"})


def test_the_manager_is_told(manager: socket.socket) -> None:
    assert notify("READY=1", {"NOTIFY_SOCKET": "notify"})
    assert manager.recv(100) == b"READY=1"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has abstract sockets")
def test_the_manager_may_have_an_abstract_socket() -> None:
    name = f"clawchat-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0{name}")
        assert notify("READY=1", {"NOTIFY_SOCKET": f"@{name}"})


def test_the_watchdog_is_fed_from_the_loop(manager: socket.socket) -> None:
    async def run() -> list[bytes]:
        fed = asyncio.create_task(watchdog({"NOTIFY_SOCKET": "notify", "WATCHDOG_USEC": "2000"}))
        heard = [await asyncio.to_thread(manager.recv, 100) for _ in range(3)]
        fed.cancel()
        return heard

    assert asyncio.run(run()) == [b"WATCHDOG=1"] * 3


@pytest.mark.parametrize("extra", [{}, {"WATCHDOG_USEC": "2000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_a_watchdog_that_is_not_ours_is_left_alone(extra: dict[str, str]) -> None:
    asyncio.run(asyncio.wait_for(watchdog({"NOTIFY_SOCKET": "notify", **extra}), 10))


@pytest.mark.usefixtures("manager")
def test_a_service_keeps_no_key_log(home: Home, tmp_path: Path) -> None:
    arguments = ("run", "--directory", str(home.configuration.parent), "--keylog", str(tmp_path / "keys"))
    told = command(*arguments, NOTIFY_SOCKET=str(tmp_path / "notify"))
    assert told.returncode == 2
    assert "no key log" in told.stderr
    assert not (tmp_path / "keys").exists()
