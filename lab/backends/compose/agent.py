"""The first process of a peer: makes sockets for whoever runs the laboratory, and starts programs for it.

Runs inside the container, alone, without privilege and with nothing but the standard library: `agent.py PATH` answers
at the unix socket PATH. Each request is a line of JSON, and so is each answer::

    {"do": "socket", "kind": "udp" | "tcp"}         {} and the descriptor of a socket of this container's network
    {"do": "read", "file": PATH}                    {"text": …}
    {"do": "run", "argv": […], "env": {…}, "cwd": …} with the descriptors of its output and its errors: {"process": id};
                                                    later {"exit": code}; a {"signal": number} meanwhile is passed on

Whatever was started ends when its connection does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Final, cast

KINDS: Final = {"udp": socket.SOCK_DGRAM, "tcp": socket.SOCK_STREAM}
REQUEST_BYTES: Final = 1 << 16
DESCRIPTORS: Final = 2
"""A program's output and errors."""


class Caller(socketserver.BaseRequestHandler):
    """One connection."""

    request: socket.socket

    def handle(self) -> None:
        """Answer until the caller leaves."""
        while (asked := self._next()) is not None:
            words, descriptors = asked
            try:
                self._answer(words, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)

    def _next(self) -> tuple[dict[str, Any], list[int]] | None:
        # A request is sent at once and the next one after its answer, so one read has all of one.
        data, descriptors, _, _ = socket.recv_fds(self.request, REQUEST_BYTES, DESCRIPTORS)
        while data and not data.endswith(b"\n"):
            data += self.request.recv(REQUEST_BYTES)
        return (cast("dict[str, Any]", json.loads(data)), descriptors) if data else None

    def _say(self, *descriptors: int, **words: object) -> None:
        socket.send_fds(self.request, [json.dumps(words).encode() + b"\n"], descriptors)

    def _answer(self, asked: dict[str, Any], descriptors: list[int]) -> None:
        match asked["do"]:
            case "socket":
                with socket.socket(socket.AF_INET, KINDS[asked["kind"]]) as made:
                    self._say(made.fileno())
            case "read":
                self._say(text=Path(asked["file"]).read_text("ascii"))
            case "run":
                self._run(asked, descriptors)

    def _run(self, asked: dict[str, Any], descriptors: list[int]) -> None:
        output, errors = descriptors
        try:
            process = subprocess.Popen(
                asked["argv"],
                env=os.environ | asked["env"],
                cwd=asked["cwd"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            self._say(error=str(error))
            return
        self._say(process=process.pid)
        threading.Thread(target=self._tell_end, args=(process,), daemon=True).start()
        while (asked_too := self._next()) is not None:
            _signal(process, asked_too[0]["signal"])
        _signal(process, signal.SIGKILL)

    def _tell_end(self, process: subprocess.Popen[bytes]) -> None:
        code = process.wait()
        with contextlib.suppress(OSError):
            self._say(exit=code)


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a program and all it has started; it is waited for elsewhere."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


class Agent(socketserver.ThreadingUnixStreamServer):
    """A thread for each caller."""

    daemon_threads = True
    request_queue_size = 64


if __name__ == "__main__":
    Agent(sys.argv[1], Caller).serve_forever()
