"""Show ClawChat on one machine: ``python -m lab.demo`` for a person to chat, ``--check`` to do it without one.

Two real programs run with a folder each, as on two machines: the operator's server, which listens on 127.0.0.1,
and Anna's client. The security file and the bootstrap key are carried over as a person would carry them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from clawchat.values.address import Address

NAME: Final = "anna"
SERVER: Final = "demo"
READY_TIMEOUT: Final = 20.0
"""Seconds a program may take to start; a busy machine needs a few."""
ANSWER_TIMEOUT: Final = 20.0
STRANGER_SIZES: Final = (16, 48, 256, 640, 1200)
"""Lengths of what the stranger sends: too short, a packet, the shortest HELLO, a usual and the longest one."""
STRANGER_WAIT: Final = 0.5
LOG_LINES: Final = 15
TEXTS: Final = ("is there anybody?", "nobody else can see this", "€ 物 🦞")

console = Console(stderr=True, highlight=False)


class DemoError(Exception):
    """The demonstration did not show what it should; the text says what."""


def step(title: str, *lines: str) -> None:
    """Tell the next step."""
    console.print(f"[bold cyan]●[/] [bold]{escape(title)}[/]")
    for line in lines:
        console.print(f"  {escape(line)}", soft_wrap=True)


class Stage:
    """Two folders, as on two machines, and the server that runs in one of them."""

    def __init__(self, place: Path) -> None:
        self.operator = place / "operator"
        self.person = place / NAME
        self.log = place / "server.log"
        self._server: subprocess.Popen[bytes] | None = None

    def server_command(self, *words: str) -> list[str]:
        """Return a command of the operator."""
        return [sys.executable, "-m", "server", words[0], "--directory", str(self.operator), *words[1:]]

    def client_command(self, *words: str) -> list[str]:
        """Return a command of the person."""
        return [sys.executable, "-m", "client", *words]

    def environment(self) -> dict[str, str]:
        """Return what both programs see: nothing of this machine's own ClawChat, and a bot behind the server."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLAWCHAT_")}
        return inherited | {
            "CLAWCHAT_HOME": str(self.person / "home"),
            "CLAWCHAT_SERVER_ID": SERVER,
            "CLAWCHAT_HANDLER": json.dumps([sys.executable, str(Path(__file__).with_name("demo_bot.py"))]),
        }

    def ask(self, *words: str) -> str:
        """Run one command of the operator and return what it printed."""
        done = subprocess.run(
            self.server_command(*words), env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoError(f"clawchat-server {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def start(self) -> Path:
        """Set the server up and run it; return its first security file."""
        self.ask("init")
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                self.server_command("run", "--ip", "127.0.0.1"), env=self.environment(), stderr=log, stdout=log
            )
        deadline = time.monotonic() + READY_TIMEOUT
        file = self.operator / "security" / "default.sec"
        while not file.exists():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise DemoError("the server did not start")
            time.sleep(0.05)
        return file

    def carry(self, *files: Path) -> list[Path]:
        """Copy files from the operator to the person, readable by nobody else."""
        self.person.mkdir(mode=0o700)
        return [Path(shutil.copy(file, self.person)) for file in files]

    def log_tail(self) -> str:
        """Return what the server said last."""
        lines = self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []
        return "\n".join(escape(f"  server: {line}") for line in lines[-LOG_LINES:])

    def stop(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.terminate()
            try:
                self._server.wait(5)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()


class Person:
    """The client as a script uses it: lines in, events out."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._seen: list[dict[str, Any]] = []

    @classmethod
    @contextlib.asynccontextmanager
    async def connected(cls, stage: Stage, *words: str) -> AsyncIterator[Person]:
        """Run ``clawchat connect`` with these words until the context ends."""
        command = stage.client_command("connect", "--json", "--name", NAME, *words)
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, env=stage.environment(), stdin=pipe, stdout=pipe)
        try:
            person = cls(process)
            yield person
            assert process.stdin is not None  # noqa: S101  (asked for above)
            process.stdin.close()
            async with asyncio.timeout(ANSWER_TIMEOUT):
                code = await process.wait()
            if code:
                raise DemoError(f"the client ended with exit code {code}")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def say(self, text: str) -> None:
        """Say a text."""
        assert self._process.stdin is not None  # noqa: S101  (a pipe was asked for)
        self._process.stdin.write(json.dumps({"text": text}).encode() + b"\n")

    async def next(self, event: str, **fields: object) -> Mapping[str, Any]:
        """Return the next event of a kind whose fields have these values; events may come in any order."""
        async with asyncio.timeout(ANSWER_TIMEOUT):
            while True:
                for found in self._seen:
                    if found["event"] == event and fields.items() <= found.items():
                        self._seen.remove(found)
                        return found
                self._seen.append(await self._read())

    async def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101  (a pipe was asked for)
        line = await self._process.stdout.readline()
        if not line:
            raise DemoError("the client ended before it should")
        record: dict[str, Any] = json.loads(line)
        if record["event"] == "problem":
            raise DemoError(f"{record['code']}: {record['cause']}")
        return record


def knock(address: Address) -> int:
    """Be a stranger: send random datagrams to the server and return how many bytes come back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(STRANGER_WAIT)
        udp.connect((address.host, address.port))
        for size in STRANGER_SIZES:
            udp.send(secrets.token_bytes(size))
        try:
            return len(udp.recv(2048))
        except TimeoutError:
            return 0


async def converse(person: Person) -> float:
    """Say some texts, see each delivered and answered; return the seconds of the slowest answer."""
    slowest = 0.0
    for text in TEXTS:
        began = time.monotonic()
        person.say(text)
        said = await person.next("said", text=text)
        await person.next("delivered", id=said["id"])
        message = await person.next("message", text=text[::-1])
        slowest = max(slowest, time.monotonic() - began)
        console.print(f"  [green]{NAME}:[/] {escape(text)} [dim]✓✓[/]\n  [magenta]bot:[/]  {escape(message['text'])}")
    return slowest


async def check(stage: Stage) -> str:
    """Show everything without a person; return what was exchanged."""
    step("The operator sets a server up and starts it", "clawchat-server init", "clawchat-server run --ip 127.0.0.1")
    file = stage.start()
    address = Address.parse(json.loads(stage.ask("status", "--json"))["port"])
    step("A stranger sends it five datagrams", f"to {address}, of {', '.join(map(str, STRANGER_SIZES))} bytes")
    if answer := knock(address):
        raise DemoError(f"the server answered a stranger with {answer} bytes")
    console.print("  [dim]silence[/]")
    step("The operator hands two files to Anna, who connects", f"clawchat connect {file.name}")
    sec, key = stage.carry(file, file.with_name("bootstrap.key"))
    async with Person.connected(stage, str(sec), "--key-file", str(key)) as person:
        words = (await person.next("connected"))["words"]
        await person.next("joined", name=NAME)
        (session,) = json.loads(stage.ask("sessions", "--json"))["sessions"]
        if session["words"] != words:
            raise DemoError(f"the safety words differ: {words} and {session['words']}")
        step("Both ends show the same safety words", words)
        step("They talk; a small program behind the server answers")
        slowest = await converse(person)
    step("The security file is used up; Anna comes back without one", f"clawchat connect {SERVER}")
    if file.exists():
        raise DemoError(f"{file} outlived its use")
    async with Person.connected(stage, SERVER) as person:
        back = await person.next("connected")
        console.print(f"  [dim]in {back['seconds'] * 1000:.0f} ms[/]")
    return (
        f"{len(TEXTS)} texts delivered and answered (slowest {slowest * 1000:.0f} ms), "
        "safety words equal on both ends, "
        f"{len(STRANGER_SIZES)} datagrams of a stranger met silence, "
        f"came back by name in {back['seconds'] * 1000:.0f} ms"
    )


def chat(stage: Stage) -> int:
    """Start the server, then hand the terminal to the client; return its exit code."""
    step("The operator sets a server up and starts it", "clawchat-server init", "clawchat-server run --ip 127.0.0.1")
    file = stage.start()
    sec, key = stage.carry(file, file.with_name("bootstrap.key"))
    step(
        "The operator has handed you two files; you connect",
        f"clawchat connect {file.name} --key-file bootstrap.key",
        "A small program behind the server answers. /help lists the commands, /quit ends.",
    )
    command = stage.client_command("connect", str(sec), "--key-file", str(key), "--name", "you")
    return subprocess.run(command, env=stage.environment(), check=False).returncode


def main() -> int:
    """Run the demonstration; leave nothing behind unless it failed."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description="A server and a client on this machine chat.")
    parser.add_argument(
        "--check", action="store_true", help="do it without a person, and say on the last line how it went"
    )
    unattended = parser.parse_args().check or not sys.stdin.isatty()
    place = Path(tempfile.mkdtemp(prefix="clawchat-demo-"))
    stage = Stage(place)
    try:
        if unattended:
            print("ok:", asyncio.run(check(stage)))
            return 0
        return chat(stage)
    except (DemoError, TimeoutError) as error:
        console.print(f"[bold red]failed:[/] {escape(str(error) or 'no answer in time')}", stage.log_tail(), sep="\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        stage.stop()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
