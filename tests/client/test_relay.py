"""The client program over a real relay, and from there to a direct path."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from server.initialise import initialise
from tests.client.conftest import LONG_ENOUGH, Home
from tests.server.relaying import NOBODY, RunningRelay, name_relay
from tests.server.running import RunningServer, figure

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the tests ask over unix sockets")
WaitFor = Callable[[subprocess.Popen[str], str], dict[str, Any]]


class Meeting(NamedTuple):
    """A relay and a server that are up, and a file that names the relay, but no address the server answers at."""

    relay: RunningRelay
    server: RunningServer
    file: pathlib.Path


@pytest.fixture
def meeting(tmp_path: pathlib.Path) -> Iterator[Meeting]:
    with RunningRelay(tmp_path / "relay") as relay:
        home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
        name_relay(home, relay.file, public_address=NOBODY)
    # the first file is written while the relay is away, so that it doesn't say where the relay sees the server
    with RunningServer(home) as server:
        handed = tmp_path / "handed"
        handed.mkdir(mode=0o700)
        for name in ("default.sec", "bootstrap.key"):
            shutil.copy(home.security / name, handed / name)
        with RunningRelay(tmp_path / "relay") as relay:
            server.wait_for("relay-joined")
            yield Meeting(relay, server, handed / "default.sec")


def test_chat_works_through_the_relay_alone(home: Home, meeting: Meeting) -> None:
    result = home.run("connect", meeting.file, "--path", "relay", "--json", "--listen", 0.5, stdin="hi\n")
    assert result.code == 0, result.err
    assert result.named("connected")[0]["path"] == "relay"
    assert result.named("connecting")[0]["relays"] == 1
    assert result.events[-1]["accepted"] == 1
    assert not result.named("path_changed")
    assert meeting.server.wait_for("session-opened")["remote"] == "relay clawchat-relay"
    assert meeting.relay.ask("status")["forwarded"] > 0
    back = home.run("connect", "clawchat-server", "--path", "relay", "--json", stdin="again\n")
    assert back.code == 0, back.err
    assert back.named("connected")[0]["path"] == "relay"


def test_it_begins_on_the_relay_and_goes_on_directly_without_it(
    home: Home, meeting: Meeting, wait_for: WaitFor
) -> None:
    client = home.start("connect", meeting.file, "--json")
    path = wait_for(client, "connected")["path"]
    if path == "relay":
        assert wait_for(client, "path_changed")["path"].endswith("(direct)")
    meeting.relay.process.kill()
    assert client.stdin is not None
    client.stdin.write("still here\n")
    client.stdin.flush()
    wait_for(client, "accepted")
    (status,) = home.run("status", "--json").events
    assert status["path"].endswith("(direct)")
    assert "not_direct" not in status
    out, err = client.communicate(timeout=LONG_ENOUGH)
    assert client.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["accepted"] == 1


def test_a_direct_path_is_waited_for(home: Home, meeting: Meeting) -> None:
    result = home.run("connect", meeting.file, "--path", "direct", "--json", stdin="hi\n")
    assert result.code == 0, result.err
    told = [event["path"] for event in result.events if "path" in event]
    assert told[-1].endswith("(direct)")
    assert result.events[-1]["accepted"] == 1


def test_pings_go_on_until_the_path_is_direct(home: Home, meeting: Meeting) -> None:
    result = home.run("ping", meeting.file, "--until-direct", "--interval", 0.05, "--json")
    assert result.code == 0, result.err
    assert result.named("pong")[-1]["path"].endswith("(direct)")


def test_pings_that_stay_on_the_relay_end_with_a_code(home: Home, meeting: Meeting) -> None:
    result = home.run(
        "ping", meeting.file, "--until-direct", "--path", "relay", "--timeout", 1, "--interval", 0.2, "--json"
    )
    assert result.code == 6
    assert "CC-NO-DIRECT-PATH" in result.err
    assert {pong["path"] for pong in result.named("pong")} == {"relay"}


def test_status_says_why_the_path_is_not_direct(home: Home, meeting: Meeting, wait_for: WaitFor) -> None:
    client = home.start("connect", meeting.file, "--json", "--path", "relay")
    wait_for(client, "joined")
    (status,) = home.run("status", "--json").events
    assert status["path"] == "relay"
    assert status["not_direct"] == "relay-only"
    assert "not direct" in home.run("status").out
    client.communicate(timeout=LONG_ENOUGH)


def test_a_relay_that_is_away_is_said_in_the_error(home: Home, meeting: Meeting) -> None:
    meeting.relay.stop()
    began = time.monotonic()
    result = home.run("connect", meeting.file, "--timeout", 1, stdin="hi\n")
    assert result.code == 4
    assert "nor from its relay" in result.err
    assert time.monotonic() - began < LONG_ENOUGH


def test_there_has_to_be_a_relay_for_a_path_by_relay(home: Home, tmp_path: pathlib.Path) -> None:
    server_home = initialise(tmp_path / "server", passphrase=False, passphrase_file=None)
    with RunningServer(server_home):
        result = home.run("connect", server_home.security_file("default"), "--path", "relay", stdin="hi\n")
    assert result.code == 2
    assert "no relay" in result.err


def test_what_became_of_it_is_counted(home: Home, meeting: Meeting) -> None:
    assert home.run("ping", meeting.file, "--until-direct", "--interval", 0.05, "--json").code == 0
    meeting.server.wait_for("session-ended")
    text = meeting.server.command("metrics").stdout
    assert figure(text, "clawchat_path_attempts_total", result="direct", reason="punched") == 1
    assert figure(text, "clawchat_path_attempts_total", result="relay") is None
    assert figure(text, "clawchat_punch_seconds_count") == 1
    strategies = ("fire", "spare")
    assert any(figure(text, "clawchat_path_attempts_total", strategy=each) == 1 for each in strategies)


def test_a_session_that_stays_on_the_relay_is_counted_with_its_reason(
    home: Home, meeting: Meeting, wait_for: WaitFor
) -> None:
    client = home.start("connect", meeting.file, "--path", "relay", "--json")
    wait_for(client, "connected")
    meeting.server.wait_for("session-opened")
    (session,) = meeting.server.ask("sessions")["sessions"]
    meeting.server.ask("disconnect", session=session["session"])
    meeting.server.wait_for("session-ended")
    client.communicate(timeout=LONG_ENOUGH)
    text = meeting.server.command("metrics").stdout
    assert figure(text, "clawchat_path_attempts_total", result="relay", strategy="") == 1
    assert figure(text, "clawchat_path_attempts_total", result="direct") is None
    assert figure(text, "clawchat_punch_seconds_count") == 0
