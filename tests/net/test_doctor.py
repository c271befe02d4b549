"""The doctor's checks one by one, each turned both ways."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawchat.net.doctor import machine
from clawchat.net.doctor.checks import attempted, failed, passed, skipped, tell
from clawchat.net.doctor.egress import egress_check
from clawchat.net.doctor.machine import container_check, has_own_network, in_container, mtu_check
from clawchat.net.doctor.neighbours import answers, dark_check
from clawchat.net.doctor.network import network_checks
from clawchat.net.user_events import Check, NetCheck
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError


@pytest.fixture
def silent() -> Iterator[Address]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", one.getsockname()[1])


@pytest.fixture
def closed() -> Address:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return Address("127.0.0.1", one.getsockname()[1])


def seen(**fields: object) -> dict[str, Check]:
    usual: dict[str, object] = {
        "reach": "easy",
        "meaning": "a word",
        "hosts": ("192.168.1.2",),
        "public": (),
        "ports": "preserving",
        "step": 0,
        "drift": 0.0,
        "mapping": "unknown",
        "filtering": "unknown",
        "ipv6": "none",
        "answered": (),
        "silent": (),
    }
    event = NetCheck(**(usual | fields))  # type: ignore[arg-type] # of the types the test gives
    return {check.name: check for check in network_checks(event, port_mapping=True)}


class TestTelling:
    def test_every_line_begins_with_its_outcome(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert tell([passed("one", "fine"), skipped("two", "not here", "go there")], as_json=False) == 0
        assert capsys.readouterr().out == (
            "PASS one              fine\nSKIP two              not here\n                      next: go there\n"
        )

    def test_one_failure_is_an_exit_code(self) -> None:
        with pytest.raises(PersonalError, match="1 of 2 checks failed: two") as caught:
            tell([passed("one", "fine"), failed("two", "broken", "mend it")], as_json=True)
        assert caught.value.code == "CC-DOCTOR"

    def test_as_json_each_is_a_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        tell([passed("one", "fine")], as_json=True)
        record = json.loads(capsys.readouterr().out)
        assert (record["event"], record["name"], record["outcome"]) == ("check", "one", "pass")

    def test_what_a_file_says_moves_no_cursor(self, capsys: pytest.CaptureFixture[str]) -> None:
        tell([passed("one", "evil\x1b[2Jname\nPASS two")], as_json=False)
        assert "\x1b" not in (out := capsys.readouterr().out)
        assert len(out.splitlines()) == 1

    def test_an_error_for_a_person_becomes_a_failure_with_its_action(self) -> None:
        def fail() -> str:
            raise PersonalError("CC-FILE-MODE", "it is open", "chmod 600 it")

        assert attempted("file", fail) == failed("file", "it is open", "chmod 600 it", "CC-FILE-MODE")
        assert attempted("file", lambda: "fine") == passed("file", "fine")


class TestPorts:
    def test_a_closed_port_answers_and_an_open_one_does_not(self, silent: Address, closed: Address) -> None:
        assert not asyncio.run(answers(silent))
        assert asyncio.run(answers(closed))

    def test_egress(self, silent: Address, closed: Address) -> None:
        assert asyncio.run(egress_check([silent])).outcome == "pass"
        assert asyncio.run(egress_check([silent, closed])).outcome == "pass"
        told = asyncio.run(egress_check([closed]))
        assert (told.outcome, "nothing listens" in told.found) == ("fail", True)
        assert asyncio.run(egress_check([])).outcome == "skip"

    def test_a_network_that_is_not_there_is_told(self) -> None:
        told = asyncio.run(egress_check([Address("255.255.255.255", 9)]))  # broadcasts are refused by the system
        assert told.outcome == "fail"

    def test_a_server_on_this_machine_is_looked_at_from_another(self, silent: Address) -> None:
        assert asyncio.run(dark_check([silent], [])).outcome == "skip"
        assert asyncio.run(dark_check([Address("198.51.100.7", 9)], ["198.51.100.7"])).outcome == "skip"


class TestMachine:
    def test_an_mtu_that_is_large_enough(self, silent: Address) -> None:
        assert mtu_check([silent]).outcome == "pass"
        assert mtu_check([]).outcome == "skip"

    def test_an_mtu_that_is_too_small(self, silent: Address, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "_mtu", lambda _: 1200)
        told = mtu_check([silent])
        assert (told.outcome, "1200" in told.found) == ("fail", True)

    @pytest.mark.parametrize("own", [False, True])
    def test_a_network_of_ones_own_has_no_devices(self, tmp_path: Path, own: bool) -> None:  # noqa: FBT001 - a row of a table
        for name in ("lo", "eth0"):
            (tmp_path / name).mkdir()
        if not own:
            (tmp_path / "eth0" / "device").mkdir()
        assert has_own_network(tmp_path) == own

    def test_where_nothing_is_told_nothing_is_said(self, tmp_path: Path) -> None:
        assert not has_own_network(tmp_path / "nowhere")
        (tmp_path / "lo").mkdir()
        assert not has_own_network(tmp_path)

    def test_a_container_without_the_hosts_network_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(machine, "in_container", lambda: True)
        monkeypatch.setattr(machine, "has_own_network", lambda: True)
        assert container_check(["172.17.0.2"]).outcome == "fail"
        assert container_check(["203.0.113.5"]).outcome == "pass"
        monkeypatch.setattr(machine, "has_own_network", lambda: False)
        assert container_check(["192.168.1.2"]).outcome == "pass"

    def test_a_container_is_known_by_its_mark(self, tmp_path: Path) -> None:
        assert not in_container([tmp_path / "mark"])
        (tmp_path / "mark").touch()
        assert in_container([tmp_path / "mark"])


class TestNetwork:
    @pytest.mark.parametrize(
        ("name", "fields", "outcome"),
        [
            ("addresses", {}, "pass"),
            ("addresses", {"reach": "offline"}, "fail"),
            ("NAT", {"reach": "easy"}, "pass"),
            ("NAT", {"reach": "hard"}, "fail"),
            ("NAT", {"reach": "hard", "mapped": "203.0.113.1:5000", "mapped_by": "PCP"}, "pass"),
            ("NAT", {"reach": "unknown"}, "skip"),
            ("STUN", {}, "skip"),
            ("STUN", {"answered": ("stun.example.org",), "rtt_ms": 3.0}, "pass"),
            ("STUN", {"silent": ("stun.example.org",)}, "fail"),
            ("port mapping", {"mapped": "203.0.113.1:5000", "mapped_by": "PCP"}, "pass"),
            ("port mapping", {"not_mapped": ("PCP: refused",)}, "skip"),
            ("IPv6", {"ipv6": "direct"}, "pass"),
            ("IPv6", {"ipv6": "blocked"}, "fail"),
            ("IPv6", {"ipv6": "none"}, "skip"),
        ],
    )
    def test_it_is_judged(self, name: str, fields: dict[str, object], outcome: str) -> None:
        check = seen(**fields)[name]
        assert check.outcome == outcome
        assert bool(check.action) or outcome != "fail"
