"""A namespace as a machine of the laboratory."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from lab.netns import Namespace, end

CHECKOUT: Final = Path(__file__).resolve().parents[3]
"""The folder from which `lab` and the programs can be imported."""


OWN: Final = re.compile(r"CLAWCHAT_.*|.*_proxy", re.IGNORECASE)
"""What belongs to this machine's own ClawChat and to its proxies."""


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return what a program of the checkout is to see besides what we see."""
    # It runs elsewhere than in the checkout, and must not depend on being installed.
    return {"CLAWCHAT_HOME": str(home), "PYTHONPATH": str(CHECKOUT), **more}


class NamespaceProcess:
    """A program in a namespace."""

    def __init__(self, started: subprocess.Popen[bytes]) -> None:
        self._started = started

    def poll(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._started.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended. Raises TimeoutError after so many seconds."""
        try:
            return self._started.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(str(error)) from error

    def interrupt(self) -> None:
        """Do what Ctrl-C does; nothing if it has ended."""
        if self._started.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._started.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it without a word to anybody."""
        self._started.kill()
        self._started.wait()

    def end(self) -> None:
        """See to it that it has ended, with all that it started."""
        end(self._started)


class NamespaceMachine:
    """A node that is a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace

    @property
    def name(self) -> str:
        """Return what people know it by."""
        return self._namespace.name

    def give(self, path: Path) -> None:
        """Do nothing: what runs inside is we, and has every file that we have."""

    def socket(self, kind: socket.SocketKind) -> socket.socket:
        """Make an IPv4 socket that belongs to its network, and is otherwise ours."""
        with self._namespace.entered():
            return socket.socket(socket.AF_INET, kind)

    def network_file(self, name: str) -> str:
        """Return what a file below /proc/net says there."""
        with self._namespace.entered():
            return Path("/proc/thread-self/net", name).read_text("ascii")

    def program(self, module: str) -> list[str]:
        """Return the words that start a module of the checkout."""
        return [sys.executable, "-m", module]

    def start(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes],
        errors: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> NamespaceProcess:
        """Start a program; what it says goes to these files, all of it to the first if there is no second."""
        without = [word for name in os.environ if OWN.fullmatch(name) for word in ("-u", name)]
        process = self._namespace.exec(
            ["env", *without, *(f"{name}={value}" for name, value in (env or {}).items()), *argv],
            # Programs run elsewhere than in the checkout, and must not depend on being installed.
            env={"PYTHONPATH": str(CHECKOUT)},
            # The kernel kills it with the thread that started it, so that thread has to be the one that stays.
            dies_with_parent=threading.current_thread() is threading.main_thread(),
            cwd=cwd,
            stdout=output,
            stderr=errors or output,
        )
        return NamespaceProcess(process)
