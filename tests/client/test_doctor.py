"""``clawchat doctor`` with a file in order, and with each thing that can be wrong with one."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import make_slot
from clawchat.crypto.secfile import seal_file
from clawchat.values.address import Address
from tests.client.conftest import Home, Result

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no mode bits")


@pytest.fixture
def server() -> Iterator[Address]:
    """Where something listens and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", one.getsockname()[1])


def write(folder: Path, address: Address, *, made: float = -60, seconds: int = 600) -> Path:
    """Write a security file and its key."""
    folder.mkdir(mode=0o700, exist_ok=True)
    key = secrets.token_bytes(32)
    slot = make_slot(
        secrets.token_bytes,
        name="home",
        hello_header_key=secrets.token_bytes(32),
        candidates=[address],
        relays=(),
        timestamp=int(time.time() + made),
        validity=seconds,
    )
    file = folder / "home.sec"
    for path, data in (
        (file, seal_file(slot.credential, KeyFile(key), secrets.token_bytes)),
        (folder / "home.key", key),
    ):
        path.touch(mode=0o600)
        path.write_bytes(data)
    return file


def outcomes(result: Result) -> dict[str, str]:
    return {check["name"]: check["outcome"] for check in result.named("check")}


def examined(home: Home, *arguments: object) -> Result:
    home.path.mkdir(exist_ok=True)
    config = home.path / "client.yaml"
    config.write_text("networking: {port_mapping: false}\n", encoding="utf-8")
    return home.run("doctor", *arguments, "--config", config, "--json")


def test_a_file_in_order(home: Home, tmp_path: Path, server: Address) -> None:
    file = write(tmp_path / "files", server)
    before = file.read_bytes()
    told = outcomes(examined(home, file))
    fine = {"configuration", "directories", "security file", "validity", "clock", "server address", "UDP egress"}
    assert {name for name, outcome in told.items() if outcome == "pass"} >= fine
    assert {name for name, outcome in told.items() if outcome == "fail"} <= {"kernel buffers", "offloads", "container"}
    assert file.read_bytes() == before
    assert not list(home.path.glob("**/*.used"))


def test_a_file_that_has_expired(home: Home, tmp_path: Path, server: Address) -> None:
    told = examined(home, write(tmp_path / "files", server, made=-700, seconds=600))
    assert told.code == 1
    assert outcomes(told)["validity"] == "fail"
    assert "CC-DOCTOR" in told.err
    assert "validity" in told.err


def test_a_clock_that_is_behind(home: Home, tmp_path: Path, server: Address) -> None:
    told = examined(home, write(tmp_path / "files", server, made=3600))
    assert outcomes(told)["clock"] == "fail"


def test_a_file_that_others_can_read(home: Home, tmp_path: Path, server: Address) -> None:
    file = write(tmp_path / "files", server)
    file.chmod(0o644)
    told = examined(home, file)
    (check,) = (each for each in told.named("check") if each["name"] == "security file")
    assert (check["outcome"], check["code"]) == ("fail", "CC-FILE-MODE")
    assert check["action"].startswith("Close it: `chmod 600")


def test_a_key_that_is_not_there(home: Home, tmp_path: Path, server: Address) -> None:
    file = write(tmp_path / "files", server)
    file.with_suffix(".key").unlink()
    (check,) = (each for each in examined(home, file).named("check") if each["name"] == "security file")
    assert (check["outcome"], check["code"]) == ("fail", "CC-BOOTSTRAP-MISSING")


def test_a_server_that_is_gone(home: Home, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", one.getsockname()[1])
    assert outcomes(examined(home, write(tmp_path / "files", address)))["UDP egress"] == "fail"


def test_a_configuration_that_is_wrong_keeps_nothing_else_from_being_looked_at(home: Home, tmp_path: Path) -> None:
    config = tmp_path / "client.yaml"
    config.write_text("networking: {port_maping: false}\n", encoding="utf-8")
    told = outcomes(home.run("doctor", "--config", config, "--json"))
    assert told["configuration"] == "fail"
    assert told["addresses"] in {"pass", "fail"}


def test_directories_that_others_can_enter(home: Home) -> None:
    state = home.path / "state" / "client"
    state.mkdir(parents=True)
    state.chmod(0o755)
    assert outcomes(examined(home))["directories"] == "fail"


def test_for_a_person_it_is_a_list(home: Home) -> None:
    home.path.mkdir(exist_ok=True)
    config = home.path / "client.yaml"
    config.write_text("networking: {port_mapping: false}\n", encoding="utf-8")
    told = home.run("doctor", "--config", config)
    assert "PASS configuration" in told.out
    assert "SKIP security file" in told.out
