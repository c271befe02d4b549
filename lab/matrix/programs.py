"""The programs of a matrix over real machines: a relay, a server in front of each NAT, and a client for each cell."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clawchat.net import control, files
from lab.backends.machine import Machine, Process
from lab.model.presets import HTTPS
from lab.netns import NamespaceError
from server.bootstrap import write_key
from server.home import CONFIGURATION_NAME, SECURITY_NAME, Home

READY_SECONDS: Final = 30.0
"""All servers start at the same moment, and a small machine takes a while for that."""

LOOK: Final = 0.05
"""Seconds between two looks at a log."""

LOG_BYTES: Final = 2000
"""How much of a log is told when a program did not start."""

PING_EVERY: Final = "0.2"
"""Seconds between a client's pings."""

ENDLESS: Final = "1000000"
"""More pings than any cell has time for."""

KEYS: Final = ".keys"
"""Ending of the key logs beside the directory of each program."""

CODE: Final = re.compile(r"CC-[A-Z-]+")


def keylog(home: Path) -> list[str]:
    """Return what makes a program log its keys, with which its recorded traffic is proven to be ciphertext.

    A program that is started again gets another file, since none writes into what it finds.
    """
    names = itertools.chain([KEYS], (f".{number}{KEYS}" for number in itertools.count(2)))
    free = (path for path in map(home.with_suffix, names) if not path.exists())
    return ["--keylog", str(next(free))]


def wait_until(ready: Callable[[], bool], what: str, log: Path, process: Process) -> None:
    """Wait for a program. Raises NamespaceError with the end of its log."""
    deadline = time.monotonic() + READY_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise NamespaceError(f"{what} did not start:\n{log.read_text(errors='replace')[-LOG_BYTES:]}")
        time.sleep(LOOK)


class Program:
    """A relay or a server: a directory of its own, and a log that says when it is ready.

    ``module`` is what Python runs: the server's, or one that takes the same words.
    """

    def __init__(
        self,
        machine: Machine,
        directory: Path,
        words: Sequence[str],
        settings: Mapping[str, str],
        *,
        module: str = "server",
    ) -> None:
        self.directory = directory
        self._what = f"{words[0]} in {machine.name}"
        self._log = directory.with_suffix(".log")
        directory.mkdir(mode=0o700, exist_ok=True)
        machine.give(directory)
        with self._log.open("wb") as log:
            self._process = machine.start(
                [*machine.program(module), *words, "--directory", str(directory)],
                output=log,
                env={"CLAWCHAT_HOME": str(directory), "CLAWCHAT_LOGGING_FORMAT": "json", **settings},
                cwd=directory,
            )

    @property
    def security(self) -> Path:
        """Name the folder of its secrets."""
        return self.directory / SECURITY_NAME

    def wait_for(self, event: str) -> None:
        """Wait for a line of the log."""
        wait_until(lambda: f'"{event}"' in self._log.read_text(errors="replace"), self._what, self._log, self._process)

    @property
    def log(self) -> list[dict[str, Any]]:
        """Return what it has logged so far."""
        lines = self._log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def kill(self) -> None:
        """End it without a word to anybody."""
        self._process.kill()

    def invite(self, name: str) -> Path:
        """Have a server make a security file."""
        return Path(control.call(self.security / "control.sock", "invite", name=name)["file"])


def relay(machine: Machine, directory: Path) -> Program:
    """Start a relay that takes WebSockets, too, at the TCP port that passes nearly everywhere."""
    return Program(machine, directory, ["relay", *keylog(directory)], {"CLAWCHAT_WEBSOCKET_PORT": str(HTTPS)})


def server(machine: Machine, directory: Path, relays: Sequence[Path]) -> Program:
    """Set a server up and start it; it is a member of these relays."""
    files.private_directory(directory / SECURITY_NAME)
    write_key(Home(directory / CONFIGURATION_NAME, directory / SECURITY_NAME))
    settings = {
        "CLAWCHAT_NETWORKING_RELAYS": json.dumps([str(file) for file in relays]),
        # No gateway of the laboratory maps ports for the asking.
        "CLAWCHAT_NETWORKING_PORT_MAPPING": "false",
    }
    return Program(machine, directory, ["run", *keylog(directory)], settings)


class Client:
    """A client that pings its server until it is told to end."""

    def __init__(self, machine: Machine, directory: Path, file: Path, *, seconds: float) -> None:
        directory.mkdir(mode=0o700)
        self.events: list[dict[str, Any]] = []
        """What it has told so far; `look` adds to it."""
        self._errors = directory / "errors"
        words = ["ping", str(file), "--json", "--interval", PING_EVERY, "--count", ENDLESS, "--timeout", f"{seconds:g}"]
        words += keylog(directory)
        told = directory / "events"
        machine.give(directory)
        with told.open("wb") as events, self._errors.open("wb") as errors:
            self._process = machine.start(
                [*machine.program("client"), *words],
                output=events,
                errors=errors,
                env={"CLAWCHAT_HOME": str(directory)},
                cwd=directory,
            )
        self._told = told.open("rb")
        self._rest = b""

    def look(self) -> None:
        """Read what it has told since the last look."""
        *lines, self._rest = (self._rest + self._told.read()).split(b"\n")
        self.events += [json.loads(line) for line in lines]

    @property
    def running(self) -> bool:
        """Tell whether it has not ended yet."""
        return self._process.poll() is None

    def ask_to_end(self) -> None:
        """Do what a person does who has seen enough: Ctrl-C."""
        self._process.interrupt()

    def end(self) -> None:
        """See to it that it has ended, and read its last words."""
        self._process.end()
        if not self._told.closed:
            self.look()
            self._told.close()

    @property
    def code(self) -> str:
        """Return the code of what it complained about last; empty when it did not."""
        return next(reversed(CODE.findall(self._errors.read_text(errors="replace"))), "")


def packets_sent(machine: Machine) -> int:
    """Return how many datagrams and TCP segments have left a machine so far."""
    rows = [line.split() for line in machine.network_file("snmp").splitlines()]
    # Each protocol has a line of names and, below it, one of figures.
    figures = {
        titles[0]: dict(zip(titles, row, strict=True)) for titles, row in zip(rows[::2], rows[1::2], strict=True)
    }
    return int(figures["Udp:"]["OutDatagrams"]) + int(figures["Tcp:"]["OutSegs"])
