"""``clawchat-server doctor``: a server in order, and each thing that can be wrong with one."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server import relay_doctor
from server.doctor import reach_check, told_check
from server.home import Home
from server.relay_settings import Networking as RelayNetworking
from server.relay_settings import Quota, RelaySettings
from server.settings import Networking, Settings
from tests.server.relaying import RunningRelay, name_relay, wait_joined
from tests.server.running import RunningServer, command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tests ask over unix sockets")
STATUS = {"port": "0.0.0.0:5000", "candidates": ["192.168.1.2:5000"], "port_mapping": "off", "relays": []}


@pytest.fixture(autouse=True)
def _ask_no_router(home: Home) -> None:
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(text.replace("port_mapping: true", "port_mapping: false"), encoding="utf-8")


@pytest.fixture
def server(home: Home) -> Iterator[RunningServer]:
    with RunningServer(home) as running:
        yield running


def examined(home: Home, *arguments: str) -> dict[str, dict[str, Any]]:
    told = command("doctor", "--directory", str(home.configuration.parent), "--json", *arguments)
    return {check["name"]: check for check in map(json.loads, told.stdout.splitlines())}


def test_a_server_in_order(server: RunningServer) -> None:
    told = examined(server.home)
    for name in (
        "configuration",
        "directory",
        "bootstrap key",
        "default.sec",
        "clock",
        "server",
        "health",
        "port told",
    ):
        assert told[name]["outcome"] == "pass", told[name]
    assert told["dark port"]["outcome"] == "skip"
    failures = {name for name, check in told.items() if check["outcome"] == "fail"}
    assert failures <= {"kernel buffers", "offloads", "container", "addresses"}


def test_a_server_that_does_not_run(home: Home) -> None:
    told = command("doctor", "--directory", str(home.configuration.parent))
    assert told.returncode == 1
    assert "FAIL server" in told.stdout
    assert "CC-DOCTOR" in told.stderr


def test_a_file_that_is_damaged_or_open_to_others(server: RunningServer) -> None:
    server.ask("invite", name="ann")
    server.home.security_file("default").write_bytes(b"{}")
    server.home.security_file("ann").chmod(0o640)
    told = examined(server.home)
    assert told["default.sec"]["outcome"] == "fail"
    assert (told["ann.sec"]["outcome"], told["ann.sec"]["code"]) == ("fail", "CC-FILE-MODE")
    assert told["health"]["outcome"] == "fail"


def test_a_file_that_a_killed_server_left_expires(home: Home) -> None:
    text = home.configuration.read_text(encoding="utf-8")
    home.configuration.write_text(
        text.replace("file_validity_minutes: 11.0", "file_validity_minutes: 0.05"), encoding="utf-8"
    )
    with RunningServer(home) as server:
        server.process.kill()
        server.process.wait()
    deadline = time.monotonic() + 20
    while (told := examined(home)["default.sec"])["outcome"] != "fail":
        assert time.monotonic() < deadline
    assert told["code"] == "CC-FILE-EXPIRED"


def test_a_key_that_is_gone(home: Home) -> None:
    home.bootstrap_key.unlink()
    assert examined(home)["bootstrap key"]["code"] == "CC-BOOTSTRAP-MISSING"


def test_directories_and_clocks(home: Home) -> None:
    home.security.chmod(0o750)
    home.configuration.chmod(0o666)
    os.utime(home.bootstrap_key, (time.time() + 3600, time.time() + 3600))
    told = examined(home)
    for name in ("directory", "configuration", "clock"):
        assert told[name]["outcome"] == "fail", told[name]


def test_relays(home: Home, tmp_path: Path) -> None:
    with RunningRelay(tmp_path / "relay") as relay:
        name_relay(home, relay.file)
        with RunningServer(home) as server:
            wait_joined(server)
            told = examined(home)
            assert told[f"relay {relay.file}"]["outcome"] == "pass"
            assert told["relays"]["outcome"] == "pass"
            assert "joined 1 of 1" in told["relays"]["found"]
        relay.stop()
        assert examined(home)["relays"]["outcome"] == "fail"


@pytest.mark.parametrize(
    ("status", "settings", "outcome"),
    [
        ({}, {}, "pass"),
        ({"candidates": ["192.168.1.2:5000", "203.0.113.1:41234"]}, {}, "fail"),
        ({"candidates": ["203.0.113.1:41234"]}, {"public_address": "203.0.113.1:41234"}, "pass"),
        ({"candidates": ["203.0.113.1:41234"], "port_mapping": "203.0.113.1:41234 (PCP)"}, {}, "pass"),
    ],
)
def test_a_port_that_somebody_rewrites(status: dict[str, Any], settings: dict[str, Any], outcome: str) -> None:
    found = told_check(STATUS | status, Settings(networking=replace(Networking(), **settings)))
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("status", "settings", "outcome"),
    [
        ({}, {}, "fail"),
        ({"candidates": ["203.0.113.1:5000"]}, {}, "pass"),
        ({"relays": [{"name": "r", "joined": True}]}, {}, "pass"),
        ({"relays": [{"name": "r", "joined": False}]}, {}, "fail"),
        ({}, {"drop": Path("/srv/drop")}, "pass"),
        ({"candidates": ["127.0.0.1:5000"]}, {}, "skip"),
    ],
)
def test_a_server_that_nobody_outside_can_reach(status: dict[str, Any], settings: dict[str, Any], outcome: str) -> None:
    found = reach_check(STATUS | status, Settings(networking=replace(Networking(), **settings)))
    assert found.outcome == outcome


class TestRelay:
    def examined(self, directory: Path) -> dict[str, dict[str, Any]]:
        told = command("relay", "doctor", "--directory", str(directory), "--json")
        return {check["name"]: check for check in map(json.loads, told.stdout.splitlines())}

    def test_a_relay_in_order_and_one_that_ended(self, tmp_path: Path) -> None:
        with RunningRelay(tmp_path / "relay") as relay:
            told = self.examined(tmp_path / "relay")
            for name in ("directory", "clock", "bootstrap key", "relay.sec", "relay", "health", "members"):
                assert told[name]["outcome"] == "pass", told[name]
            assert told["reachable"]["outcome"] == "skip"
            relay.file.chmod(0o644)
            told = self.examined(tmp_path / "relay")
            assert told["relay.sec"]["outcome"] == told["health"]["outcome"] == "fail"
        assert self.examined(tmp_path / "relay")["relay"]["outcome"] == "fail"

    @pytest.mark.parametrize(
        ("candidates", "public", "outcome"),
        [
            (["203.0.113.1:5000"], None, "pass"),
            (["192.168.1.2:5000"], None, "fail"),
            (["192.168.1.2:5000"], "192.168.1.2", "pass"),
            (["127.0.0.1:5000"], None, "skip"),
        ],
    )
    def test_where_it_can_be_reached(self, candidates: list[str], public: str | None, outcome: str) -> None:
        settings = RelaySettings(networking=RelayNetworking(public_address=public))
        assert relay_doctor.reach_check({"candidates": candidates}, settings).outcome == outcome

    def test_one_that_is_full(self) -> None:
        settings = RelaySettings(quota=Quota(sessions=2))
        assert relay_doctor.load_check({"members": 2, "over_quota": 0}, settings).outcome == "fail"
        assert relay_doctor.load_check({"members": 1, "over_quota": 3}, settings).outcome == "pass"
