"""Programs that are killed in the middle of a conversation, and the conversation that goes on."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.client.conftest import LONG_ENOUGH, Home
from tests.server.running import RunningServer

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")


class Talker:
    """A client that is fed lines of JSON, and whose events are collected."""

    def __init__(self, home: Home, *arguments: object) -> None:
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by ``end``
        self.errors = ""
        self.process = subprocess.Popen(
            home.command("connect", *arguments, "--json", "--patience", "60"),
            env=home.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            bufsize=1,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"text": text}) + "\n")
        self.process.stdin.flush()

    def wait_for(self, event: str, **fields: object) -> dict[str, Any]:
        """Wait until an event with these fields was told, now or before."""

        def found() -> dict[str, Any] | None:
            return next((one for one in self.events if one["event"] == event and fields.items() <= one.items()), None)

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, LONG_ENOUGH), (event, fields, self.events)
        told = found()
        assert told is not None
        return told

    def texts(self) -> list[str]:
        return [one["text"] for one in self.events if one["event"] == "message"]

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        if not self._errors.closed:
            self._errors.seek(0)
            self.errors = self._errors.read()
            self._errors.close()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()


@contextmanager
def talking(home: Home, *arguments: object) -> Iterator[Talker]:
    talker = Talker(home, *arguments)
    try:
        talker.wait_for("welcomed")
        yield talker
    finally:
        talker.end()


@pytest.fixture
def server_home(tmp_path: pathlib.Path) -> Any:  # noqa: ANN401 - the server's own kind of home
    from server.home import Home as ServerHome
    from tests.server.running import command

    directory = tmp_path / "server"
    assert command("init", "--directory", str(directory)).returncode == 0
    return ServerHome(directory / "server.yaml", directory / "security")


def invited(server: RunningServer, home: Home, name: str) -> pathlib.Path:
    """Hand a security file and its key to a client's home."""
    made = pathlib.Path(server.ask("invite", name=name)["file"])
    handed = home.path / "handed"
    handed.mkdir(mode=0o700, parents=True)
    for source in (made, server.home.bootstrap_key):
        copy = handed / source.name
        copy.write_bytes(source.read_bytes())
        copy.chmod(0o600)
    return handed / made.name


def wait_for_way_back(*homes: Home) -> None:
    """Wait until clients hold what they come back with; one that is killed before needs a new file."""
    deadline = time.monotonic() + LONG_ENOUGH
    for home in homes:
        while not home.path.joinpath("state/client/servers/clawchat-server.sec").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def killed(server: RunningServer) -> None:
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()


def test_a_server_that_is_killed_and_started_again_loses_nobody_and_nothing(
    tmp_path: pathlib.Path,
    server_home: Any,  # noqa: ANN401 - as above
) -> None:
    ann_home, bob_home = Home(tmp_path / "ann"), Home(tmp_path / "bob")
    with RunningServer(server_home) as server:
        ann_file, bob_file = invited(server, ann_home, "ann"), invited(server, bob_home, "bob")
        with talking(ann_home, ann_file, "--name", "ann") as ann, talking(bob_home, bob_file, "--name", "bob") as bob:
            ann.wait_for("joined", name="bob")
            ann.say("before")
            bob.wait_for("message", text="before")
            wait_for_way_back(ann_home, bob_home)
            killed(server)
            ann.say("into the void")
            with RunningServer(server_home):
                bob.wait_for("message", text="into the void")
                ann.say("after")
                bob.wait_for("message", text="after")
                assert bob.texts() == ["before", "into the void", "after"]


def test_both_are_killed_and_what_was_not_delivered_arrives_once(
    tmp_path: pathlib.Path,
    server_home: Any,  # noqa: ANN401 - as above
) -> None:
    ann_home, bob_home = Home(tmp_path / "ann"), Home(tmp_path / "bob")
    with RunningServer(server_home) as server:
        ann_file, bob_file = invited(server, ann_home, "ann"), invited(server, bob_home, "bob")
        with talking(ann_home, ann_file, "--name", "ann") as ann:
            with talking(bob_home, bob_file, "--name", "bob") as bob:
                ann.wait_for("joined", name="bob")
                ann.say("before")
                bob.wait_for("message", text="before")
                ann.wait_for("delivered", id="1")  # bob has noted that it was shown
                wait_for_way_back(ann_home, bob_home)
                bob.kill()
            ann.say("bob is gone, and does not hear this yet")
            ann.wait_for("accepted", id="2")
            killed(server)
            ann.say("nobody hears this yet")
            ann.wait_for("said", text="nobody hears this yet")
            ann.kill()
    with (
        RunningServer(server_home),
        talking(ann_home, "clawchat-server", "--name", "ann") as ann,
        talking(bob_home, "clawchat-server", "--name", "bob") as bob,
    ):
        ann.wait_for("accepted", id="3")
        bob.wait_for("message", text="nobody hears this yet")
        ann.say("together again")
        bob.wait_for("message", text="together again")
        assert bob.texts() == [
            "bob is gone, and does not hear this yet",
            "nobody hears this yet",
            "together again",
        ]


def test_a_server_that_stops_and_starts_is_come_back_to_at_once(
    tmp_path: pathlib.Path,
    server_home: Any,  # noqa: ANN401 - as above
) -> None:
    home = Home(tmp_path / "ann")
    with RunningServer(server_home) as server:
        file = invited(server, home, "ann")
        with talking(home, file, "--name", "ann") as ann:
            wait_for_way_back(home)
            assert server.stop() == 0
            ann.wait_for("coming_back")
            ann.say("still here")
            with RunningServer(server_home) as again:
                ann.wait_for("accepted")
                assert again.ask("status")["returning"] >= 1


def test_without_patience_the_end_is_the_end(
    tmp_path: pathlib.Path,
    server_home: Any,  # noqa: ANN401 - as above
) -> None:
    home = Home(tmp_path / "ann")
    with RunningServer(server_home) as server:
        file = invited(server, home, "ann")
        process = subprocess.Popen(
            home.command("connect", file, "--json", "--patience", "0"),
            env=home.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "welcomed":
                break
        assert server.stop() == 0
        out, _ = process.communicate(timeout=LONG_ENOUGH)
        assert json.loads(out.splitlines()[-1])["event"] == "problem"
        assert process.returncode != 0
