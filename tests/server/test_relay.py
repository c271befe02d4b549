"""A relay and a server that is its member, each in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.keylog import parse
from clawchat.crypto.relay_text import read_relay
from clawchat.net import files
from clawchat.values.address import Address
from clawchat.values.errors import SecurityFileError
from server.home import Home
from server.relays import open_relay_file
from tests.server.relaying import NOBODY, RunningRelay, name_relay, wait_joined, wait_until
from tests.server.running import PATIENCE, RunningServer, command, directory_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests ask over unix sockets")


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[RunningRelay]:
    with RunningRelay(tmp_path / "relay") as running:
        yield running


def test_the_first_start_makes_everything_and_the_next_ones_keep_it(tmp_path: Path) -> None:
    with RunningRelay(tmp_path / "relay") as relay:
        assert stat.S_IMODE(relay.file.stat().st_mode) == 0o600
        credential, data = relay.credential("relay"), relay.file.read_bytes()
        assert str(credential.candidates[0]) == relay.ask("status")["port"]
        assert credential.valid_until - time.time() > 9 * 365 * 24 * 3600
        began = time.monotonic()
        assert relay.stop() == 0
        assert time.monotonic() - began < 2
        assert directory_of(relay.home.security) == {"bootstrap.key", "relay.sealed", "relay.sec", "server.lock"}
    with RunningRelay(tmp_path / "relay") as again:
        assert again.file.read_bytes() == data
        assert again.ask("status")["port"] == str(credential.candidates[0])


def test_another_address_makes_another_file(tmp_path: Path) -> None:
    with RunningRelay(tmp_path / "relay") as relay:
        before = relay.credential("relay")
    with RunningRelay(tmp_path / "relay", "--public-address", "203.0.113.7:4000") as relay:
        assert relay.credential("relay").candidates == (Address("203.0.113.7", 4000),)
        assert relay.credential("relay").slot_id != before.slot_id


def test_a_relay_is_looked_at(relay: RunningRelay) -> None:
    told = command("relay", "status", "--directory", relay.directory)
    assert "members" in told.stdout
    assert command("relay", "--directory", relay.directory, "status", "--json").stdout.startswith("{")
    assert command("relay", "health", "--directory", relay.directory).stdout == "healthy\n"
    relay.file.unlink()
    told = command("relay", "health", "--directory", relay.directory)
    assert told.returncode == 1
    assert "relay.sec" in told.stderr


def test_junk_is_counted_not_logged(relay: RunningRelay) -> None:
    target, before = Address.parse(relay.ask("status")["port"]), len(relay.log)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(300):
            stranger.sendto(os.urandom(256), target)
    wait_until(lambda: sum(relay.ask("status")["drops"].values()) > 0)
    assert relay.ask("health")["healthy"]
    assert len(relay.log) == before


def test_only_one_relay_lives_in_a_directory(relay: RunningRelay) -> None:
    told = command("relay", "--directory", relay.directory)
    assert told.returncode == 3
    assert "CC-ALREADY-RUNNING" in told.stderr


def test_a_server_joins_and_says_so_in_its_security_files(home: Home, relay: RunningRelay) -> None:
    name_relay(home, relay.file)
    with RunningServer(home) as server:
        wait_joined(server)
        (view,) = server.ask("status")["relays"]
        assert (view["name"], view["joined"]) == ("clawchat-relay", True)
        (text,) = server.credential().relays
        assert read_relay(text) == relay.credential("relay")
        wait_until(lambda: relay.ask("status")["members"] == 1)
        for name in ("ann", "bob"):
            server.ask("invite", name=name)
        wait_until(lambda: relay.ask("status")["boxes"] >= 4)  # its own, and one for each security file
        assert server.stop() == 0
        relay.wait_for("member-left")


def test_where_the_relay_sees_the_server_goes_into_the_security_file(home: Home, relay: RunningRelay) -> None:
    name_relay(home, relay.file, public_address="203.0.113.1:5000")
    with RunningServer(home) as server:
        both = (Address("203.0.113.1", 5000), Address.parse(server.ask("status")["port"]))
        wait_until(lambda: server.credential().candidates == both)


def test_after_a_move_the_security_file_names_no_port_that_was_left(home: Home, relay: RunningRelay) -> None:
    name_relay(home, relay.file, public_address=NOBODY.partition(":")[0])
    with RunningServer(home) as server:
        wait_joined(server)
        left = Address.parse(server.ask("status")["port"]).port
        wait_until(lambda: left in {each.port for each in server.credential().candidates})
        server.ask("hop")
        moved = Address.parse(server.wait_for("port-moved")["port"]).port
        wait_until(lambda: moved in {each.port for each in server.credential().candidates})
        assert left not in {each.port for each in server.credential().candidates}


def test_a_key_log_holds_the_keys_of_what_members_say_to_the_relay(home: Home, tmp_path: Path) -> None:
    log = tmp_path / "keys.log"
    with RunningRelay(tmp_path / "relay", "--keylog", str(log)) as relay:
        assert any("WARNING" in line for line in relay.other_lines)
        name_relay(home, relay.file)
        with RunningServer(home) as server:
            wait_joined(server)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    ring = parse(log.read_text("ascii"))
    assert all((ring.hello, ring.welcome, ring.noise, ring.data))


def test_a_server_comes_back_to_a_relay_that_was_restarted(home: Home, tmp_path: Path) -> None:
    with RunningRelay(tmp_path / "relay") as relay:
        name_relay(home, relay.file)
        server = RunningServer(home)
        with server:
            wait_joined(server)
            relay.stop()
            server.wait_for("relay-lost")
            with RunningRelay(tmp_path / "relay") as again:
                wait_joined(server)
                wait_until(lambda: again.ask("status")["members"] == 1)


@pytest.mark.slow
def test_a_server_notices_that_a_relay_was_killed(home: Home, tmp_path: Path) -> None:
    with RunningRelay(tmp_path / "relay") as relay:
        name_relay(home, relay.file)
        with RunningServer(home) as server:
            wait_joined(server)
            os.kill(relay.process.pid, signal.SIGKILL)
            relay.process.wait()
            with RunningRelay(tmp_path / "relay"):
                server.wait_for("relay-lost", patience=3 * PATIENCE)
                wait_joined(server)


def test_the_files_of_relays_are_opened_with_the_key_beside_them_or_our_own(
    relay: RunningRelay, tmp_path: Path, key: KeyFile
) -> None:
    credential = relay.credential("relay")
    copy = files.private_directory(tmp_path / "copies") / "tokyo.sec"
    shutil.copy(relay.file, copy)
    with pytest.raises(SecurityFileError) as wrong:
        open_relay_file(copy, key)
    assert wrong.value.code == "CC-PASSPHRASE"
    assert open_relay_file(copy, files.load_bootstrap(relay.home.bootstrap_key)) == credential
    shutil.copy(relay.home.bootstrap_key, copy.with_suffix(".key"))
    assert open_relay_file(copy, key) == credential


def test_a_relay_file_that_is_not_there_is_told_at_the_start(home: Home, tmp_path: Path) -> None:
    name_relay(home, tmp_path / "no.sec")
    told = command("run", "--directory", str(home.configuration.parent), "--ip", "127.0.0.1")
    assert told.returncode == 3
    assert "CC-FILE-MISSING" in told.stderr
