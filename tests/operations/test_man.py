"""Manual pages and completions come from the commands themselves, so that they can't lag behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from client.cli import cli as client_commands
from server.cli import cli as server_commands
from tests.operations.machine import CHECKOUT


def names_of(name: str, command: click.Command) -> Iterator[str]:
    """Go through a command and everything below it."""
    yield name
    if isinstance(command, click.Group):
        for below, each in command.commands.items():
            yield from names_of(f"{name}-{below}", each)


def test_every_command_has_a_page_that_troff_understands(tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(CHECKOUT / "scripts" / "man.py"), str(tmp_path)], check=True, timeout=60)
    wanted = {*names_of("clawchat", client_commands), *names_of("clawchat-server", server_commands)}
    assert {page.stem for page in tmp_path.glob("*.1")} == wanted
    assert "invite" in (tmp_path / "clawchat-server.1").read_text(encoding="utf-8")
    if shutil.which("groff") is None:
        pytest.skip("groff is not here")
    pages = [str(page) for page in tmp_path.glob("*.1")]
    told = subprocess.run(["groff", "-man", "-Tutf8", "-wall", *pages], check=False, capture_output=True, text=True)
    assert told.returncode == 0
    assert told.stderr == ""


def test_a_program_that_does_not_exist_has_no_page(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts" / "man.py"), str(tmp_path / "man"), "claw"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert "usage:" in told.stderr


@pytest.mark.parametrize("program", ["client", "server"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_both_programs_complete(program: str, shell: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", program, "completions", shell], check=True, capture_output=True, text=True, timeout=60
    )
    assert ("_CLAWCHAT_SERVER_COMPLETE" if program == "server" else "_CLAWCHAT_COMPLETE") in told.stdout
