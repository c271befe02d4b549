"""A server program of our own on this machine, and the client program as a person runs it."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
LONG_ENOUGH = 60.0


@dataclass
class Result:
    """How a program ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [record for record in self.events if record["event"] == event]


@dataclass
class Home:
    """A place of its own for one client."""

    path: pathlib.Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CLAWCHAT_HOME": str(self.path), "PYTHONWARNINGS": "error", "NO_COLOR": "1", **self.more}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "client", *map(str, arguments)]

    def run(self, *arguments: object, stdin: str = "") -> Result:
        done = subprocess.run(
            self.command(*arguments),
            cwd=CHECKOUT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LONG_ENOUGH,
            check=False,
            start_new_session=True,  # without a terminal there is nobody to ask
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*arguments),
            cwd=CHECKOUT,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


@pytest.fixture
def home(tmp_path: pathlib.Path) -> Home:
    return Home(tmp_path / "client")


@dataclass
class Server:
    """A running server program."""

    path: pathlib.Path
    process: subprocess.Popen[str] | None = None
    _invited: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "CLAWCHAT_HOME": str(self.path)}

    def call(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "server", *arguments]
        done = subprocess.run(
            command, cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, timeout=LONG_ENOUGH, check=True
        )
        return done.stdout.strip()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", "run", "--ip", "127.0.0.1"],
            cwd=CHECKOUT,
            env=self.environment,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if '"started"' in line:
                return
        pytest.fail("the server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=LONG_ENOUGH)
            self.process = None

    def invite(self) -> pathlib.Path:
        """Make a security file nobody has used."""
        self._invited += 1
        return pathlib.Path(self.call("invite", "--name", f"guest-{self._invited}"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"))
    running.call("init")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def wait_for() -> Callable[[subprocess.Popen[str], str], dict[str, Any]]:
    """Read a client's events until one of a kind comes."""

    def wait(process: subprocess.Popen[str], event: str) -> dict[str, Any]:
        assert process.stdout is not None
        for line in process.stdout:
            record: dict[str, Any] = json.loads(line)
            if record["event"] == event:
                return record
        pytest.fail(f"no {event} came")

    return wait
