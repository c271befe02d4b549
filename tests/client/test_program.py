"""The client program as scripts and people run it, against a server program on this machine."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from clawchat.crypto import keylog
from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.credential import make_slot
from clawchat.crypto.secfile import seal_file
from clawchat.net import events_json
from clawchat.net.files import private_directory, write_private
from clawchat.values.address import Address
from tests.client.conftest import LONG_ENOUGH, Home, Server

posix = pytest.mark.skipif(os.name != "posix", reason="signals and modes of POSIX")
WaitFor = Callable[[subprocess.Popen[str], str], dict[str, Any]]
NOBODY = 9  # the discard port, where nothing listens


@pytest.fixture
def lonely(tmp_path: pathlib.Path) -> pathlib.Path:
    """A security file of a server that is not there, with its key beside it."""
    return make_file(tmp_path / "handed")


def make_file(directory: pathlib.Path, *, age: int = 0) -> pathlib.Path:
    private_directory(directory)
    key = KeyFile(os.urandom(32))
    slot = make_slot(
        os.urandom,
        name="nowhere",
        hello_header_key=os.urandom(32),
        candidates=[Address("127.0.0.1", NOBODY)],
        relays=(),
        timestamp=int(time.time()) - age,
        validity=660,
    )
    write_private(directory / "bootstrap.key", bytes(key.key))
    write_private(directory / "nowhere.sec", seal_file(slot.credential, key, os.urandom))
    return directory / "nowhere.sec"


# --- talking ---------------------------------------------------------------------------------------


def test_a_line_from_a_pipe_is_said_and_the_program_ends(home: Home, server: Server) -> None:
    result = home.run("connect", server.invite(), "--name", "ann", stdin="hi\n")
    assert (result.code, result.out) == (0, "")
    assert "safety words: " in result.err
    assert "closed: 1 sent, 1 accepted, 1 delivered" in result.err


def test_events_are_lines_that_keep_to_the_schema(home: Home, server: Server) -> None:
    import jsonschema

    result = home.run("connect", server.invite(), "--json", "--name", "ann", stdin='hi\n{"text": "ho"}\n')
    assert result.code == 0, result.err
    schema = jsonschema.Draft202012Validator(json.loads(events_json.shipped_schema()))
    for record in result.events:
        schema.validate(record)
    names = [record["event"] for record in result.events]
    assert names[:4] == ["connecting", "connected", "welcomed", "joined"]
    assert [record["text"] for record in result.named("said")] == ["hi", "ho"]
    assert names[-1] == "closed"
    assert (result.events[-1]["sent"], result.events[-1]["accepted"]) == (2, 2)


def test_two_programs_talk_and_both_see_the_same_safety_words_as_the_server(
    home: Home, server: Server, wait_for: WaitFor, tmp_path: pathlib.Path
) -> None:
    listener = home.start("connect", server.invite(), "--json", "--name", "listener", "--room", "kitchen")
    words = wait_for(listener, "connected")["words"]
    wait_for(listener, "joined")
    assert words in {session["words"] for session in json.loads(server.call("sessions", "--json"))["sessions"]}
    wait_for(listener, "joined")
    other = Home(tmp_path / "other")
    told = other.run("connect", server.invite(), "--json", "--room", "kitchen", "--name", "bob", stdin="soup?\n")
    assert told.code == 0
    assert [record["name"] for record in told.named("delivered")] == ["listener"]
    message = wait_for(listener, "message")
    assert (message["sender"], message["text"], message["room"]) == ("bob", "soup?", "kitchen")
    out, _ = listener.communicate(timeout=LONG_ENOUGH)
    assert json.loads(out.splitlines()[-1])["event"] == "closed"
    assert listener.returncode == 0


def test_messages_of_others_are_what_a_plain_pipe_prints(
    home: Home, server: Server, wait_for: WaitFor, tmp_path: pathlib.Path
) -> None:
    talker = Home(tmp_path / "talker").start("connect", server.invite(), "--json", "--name", "talker")
    wait_for(talker, "joined")
    reader = home.start("connect", server.invite(), "--name", "reader")
    while wait_for(talker, "joined")["name"] != "reader":
        pass
    assert talker.stdin is not None
    talker.stdin.write('{"text": "two\\nlines"}\n')
    talker.stdin.flush()
    assert wait_for(talker, "delivered")["name"] == "reader"
    out, err = reader.communicate(timeout=LONG_ENOUGH)
    assert out == "talker: two\n    lines\n"
    assert "you are in #lobby with talker" in err
    talker.communicate(timeout=LONG_ENOUGH)


def test_wrong_lines_are_named_and_the_others_are_said(home: Home, server: Server) -> None:
    lines = '{"text": 1}\n{"command": "fly"}\ngood\n{"command": "who"}\n'
    result = home.run("connect", server.invite(), "--json", "--name", "ann", stdin=lines)
    assert result.code == 2
    assert [record["code"] for record in result.named("problem")] == ["CC-USAGE", "CC-USAGE"]
    assert [record["text"] for record in result.named("said")] == ["good"]


def test_a_text_to_nobody_is_refused(home: Home, server: Server) -> None:
    result = home.run("connect", server.invite(), "--json", stdin='{"text": "hi", "to": "nobody"}\n')
    assert result.code == 9
    assert result.named("refused")[0]["reason"] == "nobody-of-that-name"


def test_a_session_is_destroyed_after_a_yes_and_there_is_no_way_back(home: Home, server: Server) -> None:
    file = server.invite()
    result = home.run("connect", file, "--json", "--listen", "20", stdin='{"command": "compromised session"}\nYES\n')
    assert result.code == 1
    [problem] = result.named("problem")
    assert (problem["code"], "new security file" in problem["action"]) == ("CC-COMPROMISED", True)
    assert not list(home.path.rglob("*.sec"))
    assert (file.parent / "bootstrap.key").exists()
    assert json.loads(server.call("sessions", "--json"))["sessions"] == []


def test_without_a_yes_nothing_is_destroyed(home: Home, server: Server) -> None:
    result = home.run("connect", server.invite(), "--json", stdin='{"command": "compromised"}\nno\nstill here\n')
    assert result.code == 0, result.err
    assert [record["text"] for record in result.named("notice")][1] == "nothing was destroyed"
    assert [record["text"] for record in result.named("said")] == ["still here"]


def test_thousands_of_lines_arrive(home: Home, server: Server) -> None:
    lines = "".join(f"line {number}\n" for number in range(2000))
    result = home.run("connect", server.invite(), "--json", "--name", "ann", stdin=lines)
    assert result.code == 0, result.err
    assert result.events[-1]["accepted"] == 2000


def test_places_that_can_not_be_written_do_not_end_a_session(home: Home, server: Server) -> None:
    for name in ("run", "state"):
        home.path.mkdir(exist_ok=True)
        home.path.joinpath(name).write_text("in the way")
    result = home.run("connect", server.invite(), "--json", stdin="hi\n")
    assert result.code == 0, result.err
    assert result.events[-1]["accepted"] == 1
    told = " ".join(record["text"] for record in result.named("notice"))
    assert "is used" in told
    assert "clawchat status" in told


def test_names_and_rooms_come_from_flags_before_the_environment(home: Home, server: Server) -> None:
    home.more |= {"CLAWCHAT_CLIENT_NAME": "eva", "CLAWCHAT_CLIENT_ROOM": "attic"}
    result = home.run("connect", server.invite(), "--json", "--room", "kitchen", stdin="hi\n")
    assert result.named("welcomed")[0]["name"] == "eva"
    assert result.named("said")[0]["room"] == "kitchen"


def test_an_address_and_a_port_of_ones_own(home: Home, server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = home.run("connect", "--file", server.invite(), "--ip", "127.0.0.1", "--port", port, stdin="hi\n")
    assert result.code == 0, result.err
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", port))
        result = home.run("connect", server.invite(), "--ip", "127.0.0.1", "--port", port, stdin="hi\n")
    assert result.code == 3
    assert "CC-PORT-BUSY" in result.err


# --- coming back -----------------------------------------------------------------------------------


def test_a_client_comes_back_by_the_servers_name_and_the_file_is_used_up(home: Home, server: Server) -> None:
    file = server.invite()
    copy = file.with_name("copy.sec")
    write_private(copy, file.read_bytes())
    assert home.run("connect", file, stdin="first\n").code == 0
    assert not file.exists()
    again = home.run("connect", copy, stdin="second\n")
    assert again.code == 3
    assert "CC-FILE-USED" in again.err
    for _ in range(2):
        back = home.run("connect", "clawchat-server", "--json", stdin="I am back\n")
        assert back.code == 0, back.err
        assert back.events[-1]["accepted"] == 1
    assert home.run("connect", stdin="the only server I know\n").code == 0
    copy.unlink()


def test_nothing_is_kept_to_come_back_with_if_so_wished(home: Home, server: Server) -> None:
    assert home.run("connect", server.invite(), "--forget", stdin="hi\n").code == 0
    result = home.run("connect", "clawchat-server", stdin="hi\n")
    assert result.code == 3
    assert "CC-FILE-MISSING" in result.err


@posix
def test_a_server_that_stops_says_so_and_takes_its_client_back_after_it(
    home: Home, server: Server, wait_for: WaitFor
) -> None:
    client = home.start("connect", server.invite(), "--json", "--patience", "0")
    wait_for(client, "joined")
    for _ in range(100):  # the way back comes a moment after the chat
        if home.path.joinpath("state/client/servers/clawchat-server.sec").exists():
            break
        time.sleep(0.1)
    server.stop()
    out, err = client.communicate(timeout=LONG_ENOUGH)
    server.start()
    assert client.returncode == 1
    assert "CC-PEER-CLOSED" in err
    assert "clawchat connect clawchat-server" in err
    assert json.loads(out.splitlines()[-1])["code"] == "CC-PEER-CLOSED"
    assert home.run("connect", "clawchat-server", stdin="back\n").code == 0


# --- looking ---------------------------------------------------------------------------------------


def test_pings_by_a_connection_of_its_own(home: Home, server: Server) -> None:
    result = home.run("ping", server.invite(), "-c", 3, "--interval", 0.01, "--json")
    assert result.code == 0, result.err
    assert [record["sequence"] for record in result.named("pong")] == [1, 2, 3]
    assert result.named("ping_summary")[0]["answered"] == 3
    assert "uses the security file up" in result.named("notice")[0]["text"]
    person = home.run("ping", "clawchat-server", "-c", 1)
    assert person.code == 0
    assert person.out.startswith("answer 1 in ")


@posix
def test_a_running_client_is_asked_for_its_status_and_pings(home: Home, server: Server, wait_for: WaitFor) -> None:
    nobody = home.run("status")
    assert (nobody.code, nobody.out) == (1, "")
    assert "CC-NOT-RUNNING" in nobody.err
    client = home.start("connect", server.invite(), "--json", "--name", "ann")
    words = wait_for(client, "connected")["words"]
    wait_for(client, "joined")
    (record,) = home.run("status", "--json").events
    assert (record["name"], record["words"], record["state"]) == ("ann", words, "connected")
    assert record["pid"] == client.pid
    assert words in home.run("status").out
    ping = home.run("ping", "-c", 2, "--interval", 0.01, "--json")
    assert [each["event"] for each in ping.events] == ["pong", "pong", "ping_summary"]
    client.kill()
    client.communicate(timeout=LONG_ENOUGH)
    assert home.run("status").code == 1
    assert not list((home.path / "run").glob("*.sock"))


def test_the_key_log_opens_everything_and_warns_loudly(home: Home, server: Server, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "keys"
    result = home.run("connect", server.invite(), "--room", "keys", "--keylog", file, stdin="hi\n")
    assert result.code == 0
    assert "WARNING" in result.err
    assert file.stat().st_mode & 0o777 == 0o600
    ring = keylog.parse(file.read_text())
    assert ring.hello
    assert ring.welcome
    assert ring.data


# --- what goes wrong -------------------------------------------------------------------------------


def test_a_server_that_is_not_there(home: Home, lonely: pathlib.Path) -> None:
    result = home.run("connect", lonely, "--json", "--timeout", 1)
    assert result.code == 4
    (problem,) = result.named("problem")
    assert problem["code"] == "CC-SERVER-SILENT"
    assert problem["exit_code"] == 4
    assert "within 1 s" in problem["cause"]
    assert "CC-SERVER-SILENT" in result.err
    assert "next: " in result.err
    assert home.run("connect", lonely, "--timeout", 1).code == 4, "a file that reached nobody is not used"


def test_an_expired_file_is_told_before_anything_is_sent(home: Home, tmp_path: pathlib.Path) -> None:
    expired = make_file(tmp_path / "handed", age=7200)
    result = home.run("connect", expired)
    assert result.code == 3
    assert "CC-FILE-EXPIRED" in result.err
    assert "connecting" not in result.err
    anyway = home.run("connect", expired, "--ignore-clock", "--timeout", 1)
    assert anyway.code == 4
    assert "expired" in anyway.err


@posix
def test_a_file_open_to_others(home: Home, lonely: pathlib.Path) -> None:
    lonely.chmod(0o644)
    result = home.run("connect", lonely)
    assert result.code == 3
    assert "CC-FILE-MODE" in result.err
    assert f"chmod 600 {lonely}" in result.err


def test_a_wrong_key(home: Home, lonely: pathlib.Path, tmp_path: pathlib.Path) -> None:
    key = private_directory(tmp_path / "wrong") / "key"
    write_private(key, bytes(32))
    result = home.run("connect", lonely, "--key-file", key)
    assert result.code == 3
    assert "CC-PASSPHRASE" in result.err


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_session(home: Home, server: Server, wait_for: WaitFor, number: signal.Signals) -> None:
    client = home.start("connect", server.invite(), "--json")
    wait_for(client, "joined")
    client.send_signal(number)
    out, err = client.communicate(timeout=LONG_ENOUGH)
    assert client.returncode == 130
    assert json.loads(out.splitlines()[-1])["code"] == "CC-INTERRUPTED"
    assert "Traceback" not in err


@posix
def test_a_signal_while_connecting(home: Home, lonely: pathlib.Path, wait_for: WaitFor) -> None:
    client = home.start("connect", lonely, "--json")
    wait_for(client, "connecting")
    client.send_signal(signal.SIGINT)
    _, err = client.communicate(timeout=LONG_ENOUGH)
    assert client.returncode == 130
    assert "CC-INTERRUPTED" in err


@posix
def test_the_second_signal_ends_it_at_once(home: Home, server: Server, wait_for: WaitFor) -> None:
    assert server.process is not None
    client = home.start("connect", server.invite(), "--json")
    wait_for(client, "joined")
    server.process.send_signal(signal.SIGSTOP)
    try:
        client.send_signal(signal.SIGINT)
        time.sleep(0.5)  # the first is answered with a farewell that nobody takes
        client.send_signal(signal.SIGINT)
        assert client.wait(timeout=LONG_ENOUGH) == 130
    finally:
        server.process.send_signal(signal.SIGCONT)
        client.communicate(timeout=LONG_ENOUGH)


@posix
def test_a_reader_who_goes_away_ends_the_program(home: Home, server: Server, wait_for: WaitFor) -> None:
    client = home.start("connect", server.invite(), "--json")
    wait_for(client, "joined")
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdout.close()
    client.stdin.write("anybody?\n")
    client.stdin.flush()
    client.wait(timeout=LONG_ENOUGH)
    assert client.stderr is not None
    assert "Traceback" not in client.stderr.read()
    client.stdin.close()
    client.stderr.close()


def test_nothing_runs_when_only_help_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "client", "--help"], capture_output=True, text=True, check=True
    )
    assert "prompt_toolkit" not in done.stderr
    assert "clawchat.session" not in done.stderr
