"""A relay in a process of its own, and the security file of a server that can only be reached through it."""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Callable

from server.home import Home
from tests.server.running import PATIENCE, RunningServer

NOBODY = "127.0.0.9:9"
"""Where nothing listens."""


class RunningRelay(RunningServer):
    """``clawchat-server relay``, whose log is read line by line."""

    def __init__(self, directory: pathlib.Path, *arguments: str) -> None:
        directory.mkdir(mode=0o700, exist_ok=True)
        super().__init__(Home(directory / "relay.yaml", directory / "security"), *arguments)

    def _command(self, *arguments: str) -> list[str]:
        return [
            *(sys.executable, "-m", "server", "relay", "--directory", self.directory, "--ip", "127.0.0.1"),
            *arguments,
        ]

    @property
    def file(self) -> pathlib.Path:
        """Name what the relay hands out."""
        return self.home.security_file("relay")


def name_relay(home: Home, relay: pathlib.Path, *, public_address: str | None = None) -> None:
    """Write a relay into the configuration of a server, and a public address that leads there or not."""
    text = home.configuration.read_text(encoding="utf-8").replace("relays: []", f"relays: ['{relay}']")
    if public_address is not None:
        text = text.replace("public_address: null", f"public_address: '{public_address}'")
    home.configuration.write_text(text, encoding="utf-8")


def wait_until(question: Callable[[], bool]) -> None:
    """Ask until the answer is yes."""
    deadline = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def wait_joined(server: RunningServer) -> None:
    """Wait until a server is a member of all its relays."""
    wait_until(lambda: all(view["joined"] for view in server.ask("status")["relays"]))
