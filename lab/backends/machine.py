"""What every backend that runs real programs lends: machines, each with sockets and programs of its own."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from lab.model.plan import Plan


class Process(Protocol):
    """A program that runs on a machine."""

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises TimeoutError after so many seconds."""

    def interrupt(self) -> None:
        """Do what Ctrl-C does; nothing if it has ended."""

    def kill(self) -> None:
        """End it without a word to anybody."""

    def end(self) -> None:
        """See to it that it has ended, with all that it started."""


class Machine(Protocol):
    """A node of a built network."""

    @property
    def name(self) -> str:
        """Return what people know it by."""

    def give(self, path: Path) -> None:
        """Let the programs inside have a file, or a folder with all that is in it."""

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        """Make an IPv4 socket that belongs to its network, and is otherwise ours."""

    def network_file(self, name: str) -> str:
        """Return what a file below /proc/net says there."""

    def program(self, module: str) -> list[str]:
        """Return the words that start a module there: `server`, `client`, or another one if it has the checkout."""

    def start(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes],
        errors: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Process:
        """Start a program; what it says goes to these files, all of it to the first if there is no second.

        It sees nothing of this machine's own ClawChat; `env` is added to its environment. Raises NamespaceError.
        """


class World(Protocol):
    """A plan that has been built."""

    plan: Plan

    def network(self, node: str) -> Path:
        """Return the file of a node's network namespace."""

    def part(self, one: str, others: Sequence[str]) -> None:
        """Let the router drop whatever a host or a gateway next to it and these other ones send each other."""

    def join(self, one: str, others: Sequence[str]) -> None:
        """Undo a parting."""

    def machine(self, node: str) -> Machine:
        """Return a node that runs programs: a peer or a public host."""
