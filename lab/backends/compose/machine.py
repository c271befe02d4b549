"""A container as a machine of the laboratory, by the agent that is its first process."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, cast

from lab.backends.compose.agent import REQUEST_BYTES
from lab.netns import END_GRACE, NamespaceError

USER: Final = 65_532
"""Who the programs run as when we are root; otherwise they run as we do."""

CALL_TIMEOUT: Final = 30.0
"""Seconds an agent may take for an answer on a busy machine; it has it at once."""

KINDS: Final = {socket.SOCK_DGRAM: "udp", socket.SOCK_STREAM: "tcp"}
PROGRAMS: Final = {"server": "clawchat-server", "client": "clawchat"}


def give(path: Path) -> None:
    """Let the programs inside have a file, or a folder with all that is in it."""
    if os.geteuid() == 0:
        for each in [path, *path.rglob("*")]:
            os.chown(each, USER, USER, follow_symlinks=False)


class _Line:
    """A connection to an agent."""

    def __init__(self, path: Path, *, patience: float = CALL_TIMEOUT) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(patience)
        self._rest = b""
        deadline = time.monotonic() + patience
        while True:
            try:
                self.socket.connect(str(path))
            except OSError as error:
                if time.monotonic() > deadline:
                    self.socket.close()
                    raise NamespaceError(f"no agent answers at {path}: {error}") from error
                time.sleep(0.02)
            else:
                return

    def say(self, *descriptors: int, **words: object) -> None:
        """Send a request."""
        socket.send_fds(self.socket, [json.dumps(words).encode() + b"\n"], descriptors)

    def hear(self) -> tuple[dict[str, Any], int | None]:
        """Return the next answer, and the descriptor that came with it. Raises NamespaceError at the end."""
        descriptor: int | None = None
        while b"\n" not in self._rest:
            data, descriptors, _, _ = socket.recv_fds(self.socket, REQUEST_BYTES, 1)
            if not data:
                raise NamespaceError("an agent has left")
            self._rest += data
            descriptor = descriptors[0] if descriptors else descriptor
        line, _, self._rest = self._rest.partition(b"\n")
        answer = cast("dict[str, Any]", json.loads(line))
        if "error" in answer:
            raise NamespaceError(answer["error"])
        return answer, descriptor

    def ask(self, *descriptors: int, **words: object) -> tuple[dict[str, Any], int | None]:
        """Send a request and return the answer."""
        self.say(*descriptors, **words)
        return self.hear()


class ContainerProcess:
    """A program that an agent has started."""

    def __init__(self, line: _Line) -> None:
        self._line = line
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises TimeoutError after so many seconds."""
        code = self._look(timeout)
        if code is None:
            raise TimeoutError(f"it still runs after {timeout:g} s")
        return code

    def interrupt(self) -> None:
        """Do what Ctrl-C does; nothing if it has ended."""
        if self.poll() is None:
            self._line.say(signal=signal.SIGINT)

    def kill(self) -> None:
        """End it without a word to anybody."""
        if self.poll() is None:
            self._line.say(signal=signal.SIGKILL)
            self.wait(CALL_TIMEOUT)

    def end(self) -> None:
        """See to it that it has ended, with all that it started."""
        for number, patience in ((signal.SIGTERM, END_GRACE), (signal.SIGKILL, CALL_TIMEOUT)):
            if self.poll() is None:
                self._line.say(signal=number)
                self._look(patience)
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connection to the agent, which kills the program if it still runs."""
        self._line.socket.close()

    def _look(self, patience: float | None) -> int | None:
        if self._code is None and select.select([self._line.socket], [], [], patience)[0]:
            answer, _ = self._line.hear()
            self._code = int(answer["exit"])
        return self._code


class ContainerMachine:
    """A peer or a public host."""

    def __init__(self, name: str, agent: Path) -> None:
        self.name = name
        self._agent = agent
        self._line = _Line(agent)
        self._started: list[ContainerProcess] = []
        """What ends when nobody holds its connection any more lives as long as the machine does."""

    def give(self, path: Path) -> None:
        """Let the programs inside have a file, or a folder with all that is in it."""
        give(path)

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        """Make an IPv4 socket that belongs to its network, and is otherwise ours."""
        _, descriptor = self._line.ask(do="socket", kind=KINDS[kind])
        if descriptor is None:
            raise NamespaceError(f"{self.name}: the agent sent no socket")
        return socket.socket(fileno=descriptor)

    def network_file(self, name: str) -> str:
        """Return what a file below /proc/net says there."""
        answer, _ = self._line.ask(do="read", file=f"/proc/net/{name}")
        return str(answer["text"])

    def program(self, module: str) -> list[str]:
        """Return the words that start `server` or `client`, which are installed there."""
        return [PROGRAMS[module]]

    def start(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes],
        errors: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> ContainerProcess:
        """Start a program; what it says goes to these files, all of it to the first if there is no second."""
        line = _Line(self._agent)
        where = None if cwd is None else str(cwd)
        files = output.fileno(), (errors or output).fileno()
        try:
            line.ask(*files, do="run", argv=list(argv), env=dict(env or {}), cwd=where)
        except BaseException:
            line.socket.close()
            raise
        self._started.append(ContainerProcess(line))
        return self._started[-1]

    def close(self) -> None:
        """Hang up, which kills what was started there."""
        for process in self._started:
            process.hang_up()
        self._line.socket.close()
