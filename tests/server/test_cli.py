"""The commands that need no running server, each in a process of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clawchat.values.catalog import CATALOG
from server.home import Home
from tests.server.running import PATIENCE, command, directory_of


def test_init_makes_what_a_server_needs(tmp_path: Path) -> None:
    told = command("init", "--directory", str(tmp_path / "s"))
    assert told.returncode == 0
    assert told.stdout == f"{tmp_path / 's' / 'server.yaml'}\n"
    assert "clawchat-server run --directory" in told.stderr
    assert stat.S_IMODE((tmp_path / "s" / "security").stat().st_mode) == 0o700
    key = tmp_path / "s" / "security" / "bootstrap.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}\n", key.read_text())


def test_init_uses_the_platforms_places(tmp_path: Path) -> None:
    told = command("init", CLAWCHAT_HOME=str(tmp_path))
    assert told.stdout == f"{tmp_path / 'config' / 'server.yaml'}\n"
    assert command("config", "check", CLAWCHAT_HOME=str(tmp_path)).returncode == 0


def test_init_replaces_nothing(home: Home) -> None:
    before = home.bootstrap_key.read_text()
    told = command("init", "--directory", str(home.configuration.parent))
    assert told.returncode == 9
    assert "CC-REFUSED" in told.stderr
    assert home.bootstrap_key.read_text() == before


def test_init_explains_every_key(home: Home) -> None:
    lines = home.configuration.read_text().splitlines()
    keys = [number for number, line in enumerate(lines) if line.partition("#")[0].strip()]
    assert all(lines[number - 1].strip().startswith("#") for number in keys)
    assert yaml.safe_load("\n".join(lines))["security"]["directory"] == "security"


def test_init_wants_a_real_passphrase(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("short\n")
    words.chmod(0o600)
    told = command("init", "--directory", str(tmp_path / "s"), "--passphrase-file", str(words))
    assert (told.returncode, "CC-USAGE" in told.stderr) == (2, True)
    assert "CC-BOOTSTRAP-MISSING" in command("init", "--directory", str(tmp_path / "s"), "--passphrase").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are unix")
@pytest.mark.parametrize(("again", "code"), [("four words for nobody", 0), ("five words for nobody", 2)])
def test_init_asks_for_a_passphrase_twice(tmp_path: Path, again: str, code: int) -> None:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "server", "init", "--directory", str(tmp_path / "s"), "--passphrase"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown = b""
        for question, answer in ((b"New passphrase", "four words for nobody"), (b"The same again", again)):
            while question not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, answer.encode() + b"\n")
        try:
            while data := os.read(ours, 4096):
                shown += data
        except OSError:
            pass
        assert process.wait(PATIENCE) == code
    os.close(ours)
    assert b"four words" not in shown
    assert (tmp_path / "s" / "security" / "clients.sealed").exists() == (code == 0)


def test_the_bootstrap_key_is_shown_only_when_asked(home: Home) -> None:
    directory = str(home.configuration.parent)
    told = command("bootstrap", "--directory", directory)
    key = home.bootstrap_key.read_text()
    assert told.stdout == f"{home.bootstrap_key}\n"
    assert key.strip() not in told.stdout + told.stderr
    assert command("bootstrap", "--directory", directory, "--reveal").stdout == key


def test_a_new_bootstrap_key_replaces_the_old(home: Home) -> None:
    before = home.bootstrap_key.read_text()
    assert command("bootstrap", "--directory", str(home.configuration.parent), "--new").returncode == 0
    assert home.bootstrap_key.read_text() != before
    assert directory_of(home.security) == {"bootstrap.key", "server.lock"}


def test_a_missing_bootstrap_key_is_told(home: Home) -> None:
    home.bootstrap_key.unlink()
    for arguments in (["bootstrap"], ["run"]):
        told = command(*arguments, "--directory", str(home.configuration.parent))
        assert (told.returncode, "CC-BOOTSTRAP-MISSING" in told.stderr) == (3, True)
        assert "bootstrap --new" in told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_a_key_open_to_others_is_told_with_the_mend(home: Home) -> None:
    home.bootstrap_key.chmod(0o644)
    told = command("run", "--directory", str(home.configuration.parent))
    assert (told.returncode, "CC-FILE-MODE" in told.stderr) == (3, True)
    assert f"chmod 600 {home.bootstrap_key}" in told.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no mode bits")
def test_a_directory_open_to_others_is_told_with_the_mend(home: Home) -> None:
    home.security.chmod(0o755)
    told = command("run", "--directory", str(home.configuration.parent))
    assert (told.returncode, "CC-FILE-MODE" in told.stderr) == (3, True)
    assert f"chmod 700 {home.security}" in told.stderr


def test_config_check_shows_where_values_come_from(home: Home) -> None:
    rows = json.loads(
        command(
            "config", "check", "--json", "--directory", str(home.configuration.parent), CLAWCHAT_SERVER_PORT="5000"
        ).stdout
    )
    found = {row["key"]: (row["value"], row["from"]) for row in rows}
    assert found["server.port"] == ("5000", "CLAWCHAT_SERVER_PORT")
    assert found["security.resume_hours"][1].startswith(f"{home.configuration}:")


@pytest.mark.parametrize("arguments", [["config", "check"], ["run"], ["status"]])
def test_a_mistake_in_the_configuration_is_placed(home: Home, arguments: list[str]) -> None:
    home.configuration.write_text("server:\n  prot: 5000\n")
    told = command(*arguments, "--directory", str(home.configuration.parent))
    assert told.returncode == 3
    assert f"{home.configuration}:2:3: unknown key 'server.prot'; did you mean 'port'?" in told.stderr


def test_a_key_that_does_nothing_yet_is_warned_about(home: Home) -> None:
    home.configuration.write_text("networking:\n  hole_punch_timeout: 30\n")
    told = command("config", "check", "--directory", str(home.configuration.parent))
    assert (told.returncode, "networking.hole_punch_timeout" in told.stderr) == (0, True)


@pytest.mark.parametrize("arguments", [["status"], ["sessions"], ["invite"], ["health"], ["attach"]])
def test_without_a_server_there_is_nobody_to_ask(home: Home, arguments: list[str]) -> None:
    told = command(*arguments, "--directory", str(home.configuration.parent))
    assert (told.returncode, "CC-NOT-RUNNING" in told.stderr) == (1, True)
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["dance"],
        ["run", "--port", "many"],
        ["run", "--colour"],
        ["invite", "--name"],
        ["status", "--directory", "a", "--config", "b"],
        ["explain", "CC-NO-SUCH-CODE"],
    ],
)
def test_wrong_use_has_a_code_and_a_next_step(arguments: list[str]) -> None:
    told = command(*arguments)
    assert told.returncode == 2
    assert "CC-USAGE" in told.stderr
    assert "next:" in told.stderr
    assert told.stdout == ""


def test_a_flag_that_makes_no_sense_is_a_setup_error(home: Home) -> None:
    told = command("run", "--directory", str(home.configuration.parent), "--port", "99999")
    assert (told.returncode, "CC-CONFIG" in told.stderr) == (3, True)


def test_every_code_is_explained_offline() -> None:
    assert "CC-PORT-BUSY" in command("explain", "port-busy").stdout
    assert "CC-UNHEALTHY" in CATALOG


def test_help_and_version() -> None:
    assert "attach" in command("--help").stdout
    assert command("--version").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break differently there")
def test_a_reader_that_left_is_no_error_to_shout_about(home: Home) -> None:
    told = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m server config check --directory {home.configuration.parent} | true"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert told.stderr == ""
