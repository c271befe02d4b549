"""``lab run``: a network for as long as a command, or a person, needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import cli

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "lab/topologies/two-homes.yaml"


def lab_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "lab", "run", str(EXAMPLE), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, cwd=CHECKOUT)


def namespaces() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@pytest.mark.netns
def test_a_command_runs_where_it_is_told_to_and_its_code_is_ours() -> None:
    done = lab_run("--in", "bob", "sh", "-c", "ip -4 -oneline address; exit 7")
    assert done.returncode == 7, done.stderr
    assert "10.2.0.2/24" in done.stdout


@pytest.mark.netns
def test_without_a_place_it_runs_in_the_first_peer() -> None:
    assert "10.1.0.2/24" in lab_run("ip", "-4", "address").stdout
    assert lab_run("there-is-no-such-program").returncode != 0


@pytest.mark.netns
def test_it_is_held_open_until_it_is_interrupted() -> None:
    argv = [sys.executable, "-m", "lab", "run", str(EXAMPLE)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if "Ctrl-C" in line:
                break
        mine = f"claw-{process.pid}-"
        assert mine in namespaces()
        assert "203.0.113.1" in told
        assert f"ip netns exec {mine}w1-anna sh" in " ".join(told.split())
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT
        assert mine not in namespaces()


def test_an_unknown_place_is_refused() -> None:
    done = CliRunner().invoke(cli.main, ["run", str(EXAMPLE), "--in", "carl", "true"])
    assert done.exit_code == 2
    assert "there are anna, bob, relay, left, right, router" in done.stderr
