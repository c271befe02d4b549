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


def low_ports() -> str:
    """Read the drop-in for a relay on a port of the web as the document has it."""
    text = (CHECKOUT / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- drop-in: low ports -->\n\n```text\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def booted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Install both programs on a copy of this machine and boot it; return what was seen there, by heading."""
    prepare = f"""
    {INSTALL} --no-start; {INSTALL} --relay --no-start
    units=/etc/systemd/system; mkdir -p $units/clawchat-server.service.d $units/clawchat-relay.service.d
    printf '[Service]\\nWatchdogSec=2\\nRestartSec=1\\n' >$units/clawchat-server.service.d/quick.conf
    printf '{low_ports()}' >$units/clawchat-relay.service.d/override.conf
    printf 'websocket: {{port: 443}}\\nrelay: {{ip: 127.0.0.1}}\\n' >/etc/clawchat-relay/relay.yaml
    """
    probe = """
    pid() { systemctl show --property=MainPID --value $1; }
    rights() { grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$(pid $1)/status | tr -d '\t'; }
    echo '== server'
    clawchat-server health
    stat -c '%A %U %n' /run/clawchat/server.prom /var/lib/clawchat /etc/clawchat
    rights clawchat-server
    echo '== relay'
    systemctl start clawchat-relay
    clawchat-server relay health
    stat -c '%A %U %n' /run/clawchat-relay/relay.prom
    rights clawchat-relay
    clawchat-server relay status --json
    echo '== stall'
    first=$(pid clawchat-server)
    kill -STOP $first
    while [ "$(pid clawchat-server)" = $first ] || [ "$(pid clawchat-server)" = 0 ]; do sleep 0.2; done
    systemctl is-active --quiet clawchat-server || systemctl start clawchat-server
    clawchat-server health
    systemctl show --property=NRestarts clawchat-server
    echo '== journal'
    journalctl --sync 2>/dev/null
    journalctl -u clawchat-server -o cat --no-pager | grep started
    echo '== warnings'
    journalctl -u clawchat-server -o cat --no-pager -p warning | grep event
    echo '== end'
    """
    told = boot_copy(tmp_path_factory.mktemp("boot") / "scratch", prepare, probe, seconds=200)
    parts = re.split(r"^== (\w+)\n", told, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.slow
@pytest.mark.timeout(300)
class TestBooted:
    """Under a real systemd."""

    def test_the_server_runs_with_the_rights_that_the_unit_leaves_it(self, booted: dict[str, str]) -> None:
        lines = booted["server"].splitlines()
        assert lines[0] == "healthy", booted
        assert "-rw-r--r-- clawchat /run/clawchat/server.prom" in lines
        assert "drwx------ clawchat /var/lib/clawchat" in lines
        assert "drwxr-x--- root /etc/clawchat" in lines
        assert lines[-3:] == ["CapEff:0000000000000000", "NoNewPrivs:1", "Seccomp:2"]

    def test_a_process_that_stalls_is_restarted(self, booted: dict[str, str]) -> None:
        assert booted["stall"].splitlines() == ["healthy", "NRestarts=1"]

    def test_a_relay_may_have_the_port_of_the_web_and_nothing_more(self, booted: dict[str, str]) -> None:
        lines = booted["relay"].splitlines()
        assert lines[0] == "healthy", booted
        assert "-rw-r--r-- clawchat-relay /run/clawchat-relay/relay.prom" in lines
        assert "CapEff:0000000000000400" in lines  # CAP_NET_BIND_SERVICE
        assert json.loads(lines[-1])["websocket"]["port"] == "127.0.0.1:443"

    def test_the_journal_understands_our_priorities(self, booted: dict[str, str]) -> None:
        started = json.loads(booted["journal"].splitlines()[0])
        assert started["level"] == "info"  # the priority is taken off the line, and filtered by
        assert booted["warnings"] == ""
