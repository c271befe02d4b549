"""The systemd units: as narrow as promised, and what they promise is what the program does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import require
from tests.operations.machine import CHECKOUT, INSTALL, UNITS, boot_copy

MAX_EXPOSURE: Final = 1.5
UNIT_FILES: Final = sorted(UNITS.glob("*.service"))


def exposure(unit: Path) -> float:
    """Ask systemd how much a unit may do."""
    require("systemd-analyze", None if shutil.which("systemd-analyze") else "systemd's commands")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", told.stdout)
    assert found, told.stdout
    return float(found[1])


def test_both_programs_have_a_unit() -> None:
    assert [unit.stem for unit in UNIT_FILES] == ["clawchat-relay", "clawchat-server"]


@pytest.mark.parametrize("unit", UNIT_FILES, ids=lambda unit: unit.stem)
class TestUnit:
    def test_it_is_narrow(self, unit: Path) -> None:
        assert exposure(unit) <= MAX_EXPOSURE

    @pytest.mark.parametrize(
        "opened", ["CapabilityBoundingSet=", "ProtectSystem=strict", "SystemCallFilter=@system-service"]
    )
    def test_the_measure_notices_what_is_left_open(self, unit: Path, tmp_path: Path, opened: str) -> None:
        wide = tmp_path / unit.name
        text = unit.read_text(encoding="utf-8")
        assert f"\n{opened}\n" in text
        kept = [line for line in text.splitlines() if line.partition("=")[0] != opened.partition("=")[0]]
        wide.write_text("\n".join(kept), encoding="utf-8")
        assert exposure(wide) > exposure(unit)

    def test_it_waits_for_the_programs_word_and_watches_it(self, unit: Path) -> None:
        lines = unit.read_text(encoding="utf-8").splitlines()
        assert {"Type=notify", "WatchdogSec=20", "LimitCORE=0", "NoNewPrivileges=yes"} <= set(lines)

    def test_a_sandbox_of_nothing_at_all_is_too_wide(self, unit: Path, tmp_path: Path) -> None:
        bare = tmp_path / unit.name
        bare.write_text("[Service]\nExecStart=/bin/true\n", encoding="utf-8")
        assert exposure(bare) > MAX_EXPOSURE


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_systemd_runs_the_server_and_restarts_it_when_it_stalls(tmp_path: Path) -> None:
    quick = "/etc/systemd/system/clawchat-server.service.d"
    prepare = (
        f"{INSTALL} --no-start; mkdir -p {quick};"
        f" printf '[Service]\\nWatchdogSec=2\\nRestartSec=1\\n' >{quick}/quick.conf"
    )
    probe = """
    pid() { systemctl show --property=MainPID --value clawchat-server; }
    until_new() { while [ "$(pid)" = "$1" ] || [ "$(pid)" = 0 ]; do sleep 0.2; done; }
    clawchat-server health
    clawchat-server status --json
    stat -c '%A %U %n' /run/clawchat/server.prom /var/lib/clawchat /etc/clawchat
    first=$(pid)
    grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$first/status
    kill -STOP $first
    until_new $first
    systemctl is-active --quiet clawchat-server || systemctl start clawchat-server
    clawchat-server health && echo healthy again
    journalctl --sync 2>/dev/null; journalctl -u clawchat-server -o cat --no-pager | grep started
    echo "warnings: $(journalctl -u clawchat-server -o cat --no-pager -p warning | grep -c event)"
    systemctl show --property=NRestarts clawchat-server
    """
    told = boot_copy(tmp_path / "scratch", prepare, probe, seconds=200)
    lines = told.splitlines()
    assert lines[0] == "healthy", told
    assert "-rw-r--r-- clawchat /run/clawchat/server.prom" in lines
    assert "drwx------ clawchat /var/lib/clawchat" in lines
    assert "drwxr-x--- root /etc/clawchat" in lines
    assert re.search(r"CapEff:\s+0000000000000000\nNoNewPrivs:\s+1\nSeccomp:\s+2\n", told), told
    assert "healthy again" in lines
    assert "NRestarts=1" in lines
    started = next(json.loads(line) for line in lines if '"event": "started"' in line)
    assert started["level"] == "info"  # the journal has taken the priority off the line, and filters by it
    assert "warnings: 0" in lines


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_real_systemd_runs_a_relay_on_the_port_of_the_web(tmp_path: Path) -> None:
    text = (CHECKOUT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- drop-in: low ports -->\n\n```text\n(.*?)```", text, re.DOTALL)
    assert found
    folder = "/etc/systemd/system/clawchat-relay.service.d"
    prepare = (
        f"{INSTALL} --no-start; {INSTALL} --relay --no-start; mkdir -p {folder};"
        f" printf '{found[1]}' >{folder}/override.conf;"
        " printf 'websocket: {port: 443}\\nrelay: {ip: 127.0.0.1}\\n' >/etc/clawchat-relay/relay.yaml"
    )
    probe = """
    systemctl start clawchat-relay
    clawchat-server relay health
    clawchat-server relay status --json
    grep -E '^CapEff:' /proc/$(systemctl show --property=MainPID --value clawchat-relay)/status
    stat -c '%A %U %n' /run/clawchat-relay/relay.prom
    """
    told = boot_copy(tmp_path / "scratch", prepare, probe, seconds=200)
    lines = told.splitlines()
    assert lines[0] == "healthy", told
    assert json.loads(lines[1])["websocket"]["port"] == "127.0.0.1:443"
    assert re.search(r"CapEff:\s+0000000000000400\n", told), told  # CAP_NET_BIND_SERVICE alone
    assert "-rw-r--r-- clawchat-relay /run/clawchat-relay/relay.prom" in lines
