"""A server and a client that never reach each other by HELLO: files in a directory do it, or files by hand."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from clawchat.net.drop import DirectoryDrop, names_of
from clawchat.session.carried import Acceptance
from server.drop import DropWatch
from server.home import Home
from server.logs import Log
from tests.server.running import PATIENCE, RunningServer, directory_of

processes = pytest.mark.skipif(sys.platform == "win32", reason="the tests ask over unix sockets")
NOWHERE = "127.0.0.1:9"  # the discard port, where nothing listens: the security file leads there and nowhere else


def set_option(home: Home, **values: str) -> None:
    text = home.configuration.read_text()
    for key, value in values.items():
        text, count = re.subn(rf"(?m)^  {key}: .*$", f"  {key}: {value}", text)
        assert count == 1
    home.configuration.write_text(text)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "drop"
    made.mkdir()
    return made


@pytest.fixture
def server(home: Home, folder: pathlib.Path) -> Iterator[RunningServer]:
    set_option(home, public_address=NOWHERE, drop=str(folder), drop_publish="true")
    with RunningServer(home) as running:
        yield running


def start_client(tmp_path: pathlib.Path, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "client", *map(str, arguments), "--ip", "127.0.0.1", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"CLAWCHAT_HOME": str(tmp_path / "client")},
        start_new_session=True,
    )


def finish(client: subprocess.Popen[str], said: str) -> list[dict[str, Any]]:
    out, errors = client.communicate(said, timeout=PATIENCE)
    assert client.returncode == 0, errors
    return [json.loads(line) for line in out.splitlines()]


def eventually(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@processes
def test_a_client_joins_by_a_drop_folder(server: RunningServer, folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    sealed = server.home.security_file("default")
    eventually((folder / "default.sec").exists)
    assert (folder / "default.sec").read_bytes() == sealed.read_bytes()
    names = names_of(bytes(server.credential().keys().mailbox))
    events = finish(start_client(tmp_path, "connect", sealed, "--drop", folder), "hi\n")
    assert [event["delivered"] for event in events if event["event"] == "closed"] == [1]
    assert any("drop folder" in event["text"] for event in events if event["event"] == "notice")
    assert not {names.hello, names.welcome} & directory_of(folder)
    assert server.wait_for("answered-by-file")["way"] == "drop folder"
    eventually(lambda: not (folder / "default.sec").exists())


@processes
def test_what_others_put_there_is_looked_past(
    server: RunningServer, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    names = names_of(bytes(server.credential().keys().mailbox))
    (folder / names.welcome).write_bytes(os.urandom(700))
    (folder / names.welcome.replace(".claw", " (conflicted copy).claw")).write_bytes(os.urandom(70_000))
    (folder / names.hello.replace(".claw", ".sync-conflict.claw")).write_bytes(os.urandom(700))
    (folder / "notes.txt").write_text("mine")
    finish(start_client(tmp_path, "connect", server.home.security_file("default"), "--drop", folder), "hi\n")
    eventually(lambda: directory_of(folder) == {"notes.txt"})


@processes
def test_a_client_joins_by_two_files_that_are_carried_by_hand(server: RunningServer, tmp_path: pathlib.Path) -> None:
    hello, welcome = tmp_path / "hello.claw", tmp_path / "welcome.claw"
    client = start_client(tmp_path, "offer", server.home.security_file("default"), "-o", hello)
    eventually(hello.exists)
    copy = tmp_path / "copy.claw"  # the client removes its own as soon as it has its answer
    copy.write_bytes(hello.read_bytes())
    first = server.command("answer", str(hello), "-o", str(welcome))
    assert (first.returncode, first.stdout.strip()) == (0, str(welcome)), first.stderr
    again = server.command("answer", str(copy), "-o", str(tmp_path / "again.claw"))
    assert again.returncode == 9
    assert "CC-REFUSED" in again.stderr
    missing = server.command("answer", str(tmp_path / "none.claw"))
    assert missing.returncode == 3
    assert "CC-FILE-MISSING" in missing.stderr
    events = finish(client, "hi\n")
    assert [event["delivered"] for event in events if event["event"] == "closed"] == [1]
    assert not hello.exists()


@processes
def test_a_client_that_nobody_answers_says_so_and_leaves_nothing(
    server: RunningServer, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    sealed = server.home.security_file("default")
    client = start_client(tmp_path, "connect", sealed, "--drop", elsewhere, "--timeout", "1.5")
    _, errors = client.communicate("", timeout=PATIENCE)
    assert client.returncode == 4
    assert "CC-DROP-SILENT" in errors
    assert directory_of(elsewhere) == set()
    client = start_client(tmp_path, "connect", sealed, "--drop", tmp_path / "none")
    _, errors = client.communicate("", timeout=PATIENCE)
    assert client.returncode == 3
    assert "CC-DROP" in errors
    client = start_client(tmp_path, "connect", sealed, "--drop", folder, "--path", "relay")
    _, errors = client.communicate("", timeout=PATIENCE)
    assert client.returncode == 2


@processes
def test_a_server_that_ends_takes_its_files_along(server: RunningServer, folder: pathlib.Path) -> None:
    eventually((folder / "default.sec").exists)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(PATIENCE)
    assert directory_of(folder) == set()


class FakeEndpoint:
    """Slots and what they were asked."""

    def __init__(self) -> None:
        self.mailboxes: dict[bytes, bytes] = {b"slot-one": bytes(16)}
        self.hellos: list[bytes] = []
        self.read: list[int] = []

    def accept_hello(self, data: bytes, *, port: int, now: float) -> Acceptance | None:
        del port, now
        self.hellos.append(data)
        return Acceptance(len(self.hellos), b"welcome to " + data) if data.startswith(b"good") else None

    def answer_was_read(self, session_id: int, *, now: float) -> None:
        del now
        self.read.append(session_id)


class Watched:
    """A watch over a folder, step by step."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.drop = DirectoryDrop(folder)
        self.endpoint = FakeEndpoint()
        self.names = names_of(bytes(16))
        self.flushed: list[list[str]] = []  # what lay in the folder whenever the endpoint was asked to send
        self.published: Mapping[str, pathlib.Path] = {}
        self.watch = DropWatch(
            folder,
            self.endpoint,
            0,
            Log(),
            flush=lambda: self.flushed.append(self.drop.list()),
            published=lambda: self.published,
        )

    def look(self) -> bool:
        return asyncio.run(self.watch.look())


@pytest.fixture
def watched(folder: pathlib.Path) -> Watched:
    return Watched(folder)


def test_the_nat_is_open_before_the_answer_is_written(watched: Watched) -> None:
    watched.drop.put(watched.names.hello, b"good one")
    assert watched.look()
    assert watched.flushed == [[watched.names.hello]]
    assert watched.drop.get(watched.names.welcome) == b"welcome to good one"


def test_each_hello_is_tried_once_and_a_new_one_again(watched: Watched) -> None:
    for content in (b"half", b"good whole", b"good whole", b"good next"):
        watched.drop.put(watched.names.hello, content)
        watched.look()
    assert watched.endpoint.hellos == [b"half", b"good whole", b"good next"]
    assert watched.drop.get(watched.names.welcome) == b"welcome to good next"
    assert not watched.look()


def test_an_answer_that_vanished_was_read(watched: Watched) -> None:
    watched.drop.put(watched.names.hello, b"good one")
    watched.look()
    watched.look()
    assert watched.endpoint.read == []
    watched.drop.delete(watched.names.welcome)
    assert watched.look()
    assert watched.endpoint.read == [1]
    watched.look()
    assert watched.endpoint.read == [1]


def test_a_slot_that_is_over_leaves_nothing_behind(watched: Watched) -> None:
    watched.drop.put(watched.names.hello, b"good one")
    watched.look()
    watched.endpoint.mailboxes.clear()
    watched.look()
    assert watched.drop.list() == []


def test_security_files_are_published_renewed_and_withdrawn(watched: Watched, tmp_path: pathlib.Path) -> None:
    sealed = tmp_path / "ann.sec"
    sealed.write_bytes(b"first")
    sealed.chmod(0o600)
    tmp_path.chmod(0o700)
    watched.published = {"ann.sec": sealed}
    assert watched.look()
    assert watched.drop.get("ann.sec") == b"first"
    sealed.write_bytes(b"second")
    assert watched.look()
    assert watched.drop.get("ann.sec") == b"second"
    assert not watched.look()
    watched.published = {}
    watched.look()
    assert watched.drop.list() == []
