"""COMPROMISED on a real server: nothing of before is left, nobody comes back by it, and what is new works."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest

from clawchat.crypto.credential import Credential
from clawchat.net.connection import connect
from clawchat.net.driver import Node
from clawchat.net.files import destroy
from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address
from clawchat.values.address import Path as Place
from clawchat.values.errors import Compromised, HandshakeFailed
from server.home import Home
from server.initialise import initialise
from tests.server.running import PATIENCE, Client, RunningServer, command, directory_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="asks over a unix socket")

BOUND = 2.0
"""How long after the command everything of before must be gone."""


async def ended(client: Client) -> Compromised:
    async with asyncio.timeout(PATIENCE):
        error = await client.connection.wait_closed()
    assert isinstance(error, Compromised)
    return error


def secrets_on_disk(home: Home) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in home.security.iterdir() if path.suffix in {".sec", ".key", ".sealed"}
    }


class Counting:
    """Count what arrives."""

    received_bytes = 0

    def received(self, data: memoryview, size: int, path: Place, *, now: float) -> None:  # noqa: ARG002 - a tap's
        self.received_bytes += len(data)

    def sent(self, transmit: Transmit, *, now: float) -> None:
        """Count only what arrives."""


async def try_old(credential: Credential, seconds: float = 3.0) -> int:
    """Try to join with something of before; return how many bytes came back."""
    tap = Counting()
    node = Node(Endpoint(random=os.urandom), on_event=lambda _: None, watch=False, tap=tap)
    try:
        port = await node.open_port(Address("127.0.0.1", 0))
        await connect(node, credential, port=port, timeout=seconds)
    except HandshakeFailed:
        pass
    else:
        raise AssertionError("somebody came in by what was destroyed")
    finally:
        await node.close(limit=0.1)
    return tap.received_bytes


def scene(work: Coroutine[None, None, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize("how", ["command", "signal", "client"])
def test_everything_goes_and_the_server_begins_anew(home: Home, how: str) -> None:
    async def play(server: RunningServer) -> None:
        old = server.credential()
        ann = await Client.join(deepcopy(old), "ann")
        server.wait_for("session-opened")
        server.ask("invite", name="bob")
        left_over = server.credential("bob")
        before = secrets_on_disk(home)
        assert {"bootstrap.key", "bob.sec", "clients.sealed"} <= set(before)
        began = time.monotonic()
        if how == "command":
            answer = await asyncio.to_thread(server.command, "compromised", "--yes")
            assert answer.returncode == 0
            assert str(home.bootstrap_key) in answer.stdout
            assert str(home.security_file("default")) in answer.stdout
        elif how == "signal":
            server.process.send_signal(signal.SIGUSR2)
        else:
            ann.node.endpoint.compromise_all(now=time.monotonic())
            ann.node.flush()
        told = await asyncio.to_thread(server.wait_for, "compromised")
        assert len(told["destroyed"]) >= 3
        if how != "client":
            assert (await ended(ann)).everything
        assert time.monotonic() - began < BOUND + (
            2.0 if how == "command" else 0.0
        )  # a command takes a second to start
        await asyncio.to_thread(server.wait_for, "started")
        after = secrets_on_disk(home)
        assert not set(before.values()) & set(after.values())
        assert "bob.sec" not in after
        control = server.credential()
        assert bytes(control.hello_header_key) != bytes(old.hello_header_key)
        assert control.candidates[0].port != old.candidates[0].port
        new_port = control.candidates[0].port
        there = replace(left_over, candidates=(*left_over.candidates, Address("127.0.0.1", new_port)))
        assert await try_old(there) == 0
        carl = await Client.join(control, "carl")
        await carl.says("a new beginning")
        await carl.leave()
        await ann.leave()

    with RunningServer(home) as server:
        scene(play(server))
        assert server.stop() == 0


def test_a_server_with_a_passphrase_ends_and_says_what_to_do(tmp_path: Path) -> None:
    """Only a person can give it another passphrase."""
    file = tmp_path / "passphrase"
    file.write_text("four words that nobody guesses\n", encoding="utf-8")
    file.chmod(0o600)
    home = initialise(tmp_path / "server", passphrase=False, passphrase_file=file)
    with RunningServer(home, "--passphrase-file", str(file)) as server:
        told = server.command("compromised", "--yes")
        assert (told.returncode, "new passphrase" in told.stdout) == (0, True)
        assert server.process.wait(PATIENCE) == 1
    assert any("CC-COMPROMISED" in line for line in server.other_lines)
    assert not {"default.sec", "clients.sealed", "chat.sealed"} & directory_of(home.security)
    # whatever restarts a server would give it the same passphrase again, and whoever knows it could read the new files
    again = command("run", "--directory", str(home.configuration.parent), "--passphrase-file", str(file))
    assert (again.returncode, "CC-COMPROMISED" in again.stderr) == (1, True)
    assert "default.sec" not in directory_of(home.security)
    file.write_text("other words that nobody guesses\n", encoding="utf-8")
    with RunningServer(home, "--passphrase-file", str(file)) as server:
        assert server.home.security_file("default").exists()


def test_one_session_alone(home: Home) -> None:
    async def play(server: RunningServer) -> None:
        ann = await Client.join(server.credential(), "ann")
        number = server.wait_for("session-opened")["session"]
        server.ask("invite", name="bob")
        bob = await Client.join(server.credential("bob"), "bob")
        key = home.bootstrap_key.read_bytes()
        server.ask("compromised", session=number)
        assert not (await ended(ann)).everything
        await bob.says("still here")
        assert home.bootstrap_key.read_bytes() == key
        assert [entry["name"] for entry in server.ask("sessions")["sessions"]] == ["bob"]
        await bob.leave()
        await ann.leave()

    with RunningServer(home) as server:
        scene(play(server))


def test_without_a_server_the_files_go(home: Home) -> None:
    with RunningServer(home) as server:
        server.process.kill()
        server.process.wait()
    key = home.bootstrap_key.read_bytes()
    assert "default.sec" in directory_of(home.security)
    told = command("compromised", "--yes", "--directory", str(home.configuration.parent))
    assert (told.returncode, "start the server" in told.stdout) == (0, True)
    assert home.bootstrap_key.read_bytes() != key
    assert "default.sec" not in directory_of(home.security)


def test_without_a_yes_nothing_happens(home: Home) -> None:
    key = home.bootstrap_key.read_bytes()
    told = command("compromised", "--directory", str(home.configuration.parent))
    assert told.returncode != 0
    assert home.bootstrap_key.read_bytes() == key


def test_a_destroyed_file_is_overwritten_before_it_is_removed(tmp_path: Path) -> None:
    path = home_file(tmp_path)
    held = path.open("rb")
    with held:
        assert destroy(path)
        assert held.read() == bytes(len(b"a secret"))
    assert not path.exists()
    assert not destroy(path)


def home_file(directory: Path) -> Path:
    path = directory / "secret"
    path.write_bytes(b"a secret")
    return path


def test_what_a_link_leads_to_is_not_touched(tmp_path: Path) -> None:
    path = home_file(tmp_path)
    link = path.with_name("link")
    link.symlink_to(path)
    assert destroy(link)
    assert path.read_bytes() == b"a secret"


def test_the_socket_of_before_is_closed(home: Home) -> None:
    with RunningServer(home) as server:
        old = server.credential().candidates[0]
        server.ask("compromised")
        server.wait_for("compromised")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", old.port))
                except OSError:
                    time.sleep(0.1)
                else:
                    return
        raise AssertionError("the old port is still open")
