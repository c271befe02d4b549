"""A server in a process of its own, and clients in this one."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from prometheus_client.parser import text_string_to_metric_families as families_of

from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import open_file
from clawchat.net import control, files
from clawchat.net.connection import Connection, connect
from clawchat.net.driver import Node
from clawchat.net.stream import Stream
from clawchat.services.chat import Message, ToClient
from clawchat.services.chat_client import ChatClient
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from server.home import Home

# How long anything may take before a test gives up on it; nothing is measured against it.
PATIENCE: Final = 20.0


def command(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one command of the server program to its end."""
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
    )


class RunningServer:
    """``clawchat-server run``, whose log is read line by line."""

    def __init__(self, home: Home, *arguments: str) -> None:
        self.home = home
        self.directory = str(home.configuration.parent)
        self.log: list[dict[str, Any]] = []
        self.other_lines: list[str] = []
        self._fresh: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process = subprocess.Popen(
            self._command(*arguments),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "server", "run", "--directory", self.directory, "--ip", "127.0.0.1", *arguments]

    def __enter__(self) -> Self:
        self.wait_for("started")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def wait_for(self, event: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Wait for the next log line of an event."""
        deadline = time.monotonic() + patience
        while True:
            line = self._fresh.get(timeout=max(0.0, deadline - time.monotonic()))
            assert line is not None, f"the server ended before {event}: {self.log[-3:]} {self.other_lines}"
            if line["event"] == event:
                return line

    def ask(self, request: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - what a request takes
        """Ask over the control socket."""
        return control.call(self.home.control, request, **arguments)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command about this server."""
        return command(*arguments, "--directory", self.directory)

    def credential(self, name: str = "default") -> Credential:
        """Open a security file as a client would."""
        key = files.load_bootstrap(self.home.bootstrap_key)
        return open_file(files.read_private(self.home.security_file(name), 1 << 20), key)

    def stop(self) -> int:
        """Ask the server to end; return its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if line.startswith("{"):
                self.log.append(json.loads(line))
                self._fresh.put(self.log[-1])
            else:
                self.other_lines.append(line)
        self._fresh.put(None)


class Client:
    """A client in this process: one endpoint, one session, one chat."""

    def __init__(self, node: Node, connection: Connection, chat: ChatClient) -> None:
        self.node = node
        self.connection = connection
        self.chat = chat
        self.heard: list[ToClient] = []
        self.stream: Stream = connection.open_stream()
        chat.start()

    @classmethod
    async def join(cls, credential: Credential, name: str) -> Self:
        """Join a server and its chat."""
        node = Node(Endpoint(random=os.urandom), on_event=lambda _: None, watch=False)
        port = await node.open_port(Address("127.0.0.1", 0))
        try:
            connection = await connect(node, credential, port=port, timeout=PATIENCE)
        except BaseException:
            await node.close(limit=0.1)
            raise
        client = cls(node, connection, ChatClient(name))
        await client.flush()
        return client

    async def flush(self) -> None:
        """Send what the chat has to say."""
        await self.stream.write(self.chat.outgoing())

    async def says(self, text: str, **where: str) -> str:
        """Say a text."""
        said = self.chat.say(text, **where)
        await self.flush()
        return said

    async def hears(self, wanted: Callable[[ToClient], bool]) -> ToClient:
        """Wait until something of a kind is heard."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for told in self.heard:
                    if wanted(told):
                        self.heard.remove(told)
                        return told
                data = await self.stream.read()
                assert data, f"the stream ended; heard {self.heard}"
                self.heard += self.chat.receive(data)
                await self.flush()

    async def hears_text(self) -> Message:
        """Wait for the next message."""
        told = await self.hears(lambda each: isinstance(each, Message))
        assert isinstance(told, Message)
        return told

    async def leave(self) -> None:
        """Close everything."""
        await self.node.close(limit=PATIENCE)


def directory_of(path: pathlib.Path) -> set[str]:
    """List a directory."""
    return {entry.name for entry in path.iterdir()}


def figure(text: str, name: str, **labels: str) -> float | None:
    """Return one figure, None if it is not told."""
    for family in families_of(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return float(sample.value)
    return None


def free_port() -> int:
    """Return a TCP port that nobody has just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
