"""Health that means "works": each thing that can be wrong turns it red, and systemd's watchdog hears of a stall."""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.net import files
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from server.health import Health, check
from server.home import Home
from server.logs import Log
from server.program import Program
from server.relay_program import RelayProgram
from server.relay_settings import RelaySettings
from server.settings import Server, Settings
from tests.server.relaying import RunningRelay
from tests.server.running import PATIENCE, Client, RunningServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests ask over unix sockets")

WATCHDOG_SECONDS: Final = 0.4
# The whole program, with a signal that keeps its event loop, and nothing else, from turning; it says so first.
STALLING: Final = """
import signal, sys, time
from server.cli import main
from server.systemd import notify
signal.signal(signal.SIGUSR1, lambda *_: (notify("STALLED=1"), time.sleep(5)))
main(sys.argv[1:])
"""


async def health_of(home: Home, key: KeyFile, spoil: Callable[[Program], None]) -> Health:
    """Run a server in this process, spoil something, and look."""
    program = Program(home, Settings(server=Server(ip="127.0.0.1")), key)
    await program.start()
    try:
        assert (await check(program)).healthy
        spoil(program)
        return await check(program)
    finally:
        await program.stop()


class TestServer:
    def test_a_socket_that_nobody_reads_is_red(self, home: Home, key: KeyFile) -> None:
        def deafen(program: Program) -> None:
            asyncio.get_running_loop().remove_reader(program.node.ports[program.handle].fileno())

        found = asyncio.run(health_of(home, key, deafen))
        assert (found.healthy, found.datagram) == (False, False)

    def test_a_closed_socket_is_red(self, home: Home, key: KeyFile) -> None:
        async def scene() -> Health:
            program = Program(home, Settings(server=Server(ip="127.0.0.1")), key)
            await program.start()
            await program.stop()
            return await check(program)

        assert not asyncio.run(scene()).datagram

    def test_the_datagrams_of_others_are_no_sign_of_life(self, home: Home, key: KeyFile) -> None:
        """Another socket at the port gets the test; ours is fed with junk meanwhile."""

        async def scene() -> bool:
            program = Program(home, Settings(server=Server(ip="127.0.0.1")), key)
            await program.start()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", 0))
                real, program.port = program.port, Address("127.0.0.1", other.getsockname()[1])
                for _ in range(20):
                    other.sendto(os.urandom(96), (real.host, real.port))
                found = await check(program)
            await program.stop()
            return found.datagram

        assert not asyncio.run(scene())

    def test_a_file_that_is_gone_is_red(self, home: Home, key: KeyFile) -> None:
        found = asyncio.run(health_of(home, key, lambda _: home.security_file("default").unlink()))
        assert (found.healthy, found.missing) == (False, ("default",))

    def test_a_file_that_somebody_changed_is_red(self, home: Home, key: KeyFile) -> None:
        found = asyncio.run(health_of(home, key, lambda _: files.write_private(home.security_file("default"), b"{}")))
        assert (found.healthy, found.missing) == (False, ("default",))

    def test_a_file_that_others_may_read_is_red(self, home: Home, key: KeyFile) -> None:
        found = asyncio.run(health_of(home, key, lambda _: home.security_file("default").chmod(0o644)))
        assert found.missing == ("default",)

    def test_a_server_that_nobody_can_join_is_red(self, home: Home, key: KeyFile) -> None:
        found = asyncio.run(health_of(home, key, lambda program: program.invitations.withdraw("default")))
        assert (found.healthy, found.missing, found.joinable) == (False, (), False)

    def test_one_whose_client_is_here_is_not(self, home: Home) -> None:
        with RunningServer(home) as server:

            async def scene() -> None:
                ann = await Client.join(server.credential(), "ann")
                await asyncio.to_thread(server.wait_for, "session-opened")
                assert (await asyncio.to_thread(server.command, "health")).stdout == "healthy\n"
                await ann.leave()

            asyncio.run(scene())

    def test_what_is_wrong_is_said(self, home: Home) -> None:
        with RunningServer(home) as server:
            server.command("invite", "--withdraw")
            told = server.command("health")
        assert told.returncode == 1
        assert "clawchat-server invite" in told.stderr
        assert "late" not in told.stderr


class TestRelay:
    @pytest.mark.parametrize("spoil", ["gone", "changed", "deaf"])
    def test_a_relay_that_does_not_work_is_red(self, tmp_path: Path, spoil: str) -> None:
        async def scene() -> tuple[Health, Health]:
            home = Home(tmp_path / "relay.yaml", tmp_path / "security")
            program = RelayProgram(home, RelaySettings(), Log())
            await program.start()
            try:
                before = await program.health()
                if spoil == "gone":
                    program.slots.file.unlink()
                elif spoil == "changed":
                    files.write_private(program.slots.file, b"{}")
                else:
                    asyncio.get_running_loop().remove_reader(next(iter(program.node.ports.values())).fileno())
                return before, await program.health()
            finally:
                await program.stop()

        before, after = asyncio.run(scene())
        assert before.healthy
        assert not after.healthy
        assert after.datagram == (spoil != "deaf")
        assert after.missing == (() if spoil == "deaf" else ("relay.sec",))


class Manager:
    """systemd, as far as a service sees of it."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.heard: queue.Queue[bytes] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while told := self._socket.recv(4096):
                self.heard.put(told)

    def waits(self, state: bytes) -> None:
        """Wait until a state is told."""
        while self.heard.get(timeout=PATIENCE) != state:
            pass

    def misses(self, seconds: float) -> bool:
        """Forget what was told so far, and look whether nothing comes for a time."""
        while not self.heard.empty():
            self.heard.get()
        try:
            self.heard.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def close(self) -> None:
        """End."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._socket.close()


class StallingServer(RunningServer):
    """A server whose loop stalls for five seconds at SIGUSR1."""

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", STALLING, *super()._command(*arguments)[3:]]


class StallingRelay(RunningRelay):
    """The same for a relay."""

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-c", STALLING, *super()._command(*arguments)[3:]]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = tmp_path / "notify"
    played = Manager(path)
    monkeypatch.setenv("NOTIFY_SOCKET", str(path))
    monkeypatch.setenv("WATCHDOG_USEC", str(round(WATCHDOG_SECONDS * 1e6)))
    yield played
    played.close()


@pytest.mark.parametrize("program", ["server", "relay"])
def test_a_stalled_loop_is_red_and_starves_the_watchdog(
    home: Home, tmp_path: Path, manager: Manager, program: str
) -> None:
    running = StallingServer(home) if program == "server" else StallingRelay(tmp_path / "relay")
    with running:
        manager.waits(b"READY=1")
        manager.waits(b"WATCHDOG=1")
        assert running.ask("health")["healthy"]
        manager.waits(b"WATCHDOG=1")
        running.process.send_signal(signal.SIGUSR1)
        manager.waits(b"STALLED=1")
        assert manager.misses(2 * WATCHDOG_SECONDS), "a stalled server told its watchdog that all is well"
        with pytest.raises(PersonalError, match="did not answer"):
            running.ask("health", timeout=0.5)
        manager.waits(b"WATCHDOG=1")  # the stall is over
        found = running.ask("health")
        assert not found["healthy"]
        assert found["loop_lag_seconds"] > 1
        assert running.stop() == 0
        manager.waits(b"STOPPING=1")
