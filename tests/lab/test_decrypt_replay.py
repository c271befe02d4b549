"""Captures printed for who has the keys, and replayed against whoever listens."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab import cli
from lab.capture import pcapng
from lab.verify.rehearsal import Rehearsal, Sent, frame, rehearse

STRANGER = Sent(("10.1.0.2", 1), ("10.1.0.3", 2), b"what is this")


@pytest.fixture(scope="module")
def session() -> Rehearsal:
    return rehearse(8)


@pytest.fixture
def capture(session: Rehearsal, tmp_path: Path) -> Path:
    file = tmp_path / "session.pcapng"
    with file.open("wb") as stream:
        writer = pcapng.Writer(stream)
        for name in ("near", "far"):
            writer.interface(name)
        for number, sent in enumerate([*session.sent, STRANGER]):
            for interface in (0, 1):
                writer.packet(interface, number * 1000 + interface, frame(sent), direction=pcapng.INBOUND)
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def test_each_datagram_is_printed_once_with_what_it_says(session: Rehearsal, capture: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(session.keylog)
    done = run("decrypt", str(capture), "--keylog", str(keys))
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(session.sent) + 1
    assert [line["kind"] for line in lines[:2]] == ["HELLO", "WELCOME"]
    assert lines[0]["says"]["cid"] == lines[1]["to"]
    assert {line["point"] for line in lines} == {"near"}
    last = pytest.approx(len(session.sent) * 1e-6)
    stranger = {"time": last, "point": "near", "kind": None, "length": len(STRANGER.payload)}
    assert lines[-1] == {**stranger, "source": "10.1.0.2:1", "destination": "10.1.0.3:2"}
    frames = [one for line in lines for one in line.get("frames", ())]
    said = b"".join(bytes.fromhex(one["data"]) for one in frames if one["frame"] == "Stream")
    assert said.startswith(session.text.encode())
    assert {"Ack", "Close", "Stream"} <= {one["frame"] for one in frames}


@contextmanager
def listening(*, answer: bool) -> Iterator[tuple[int, list[bytes]]]:
    """Listen on a port of this machine, and perhaps answer everything."""
    heard: list[bytes] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        end.bind(("127.0.0.1", 0))

        def listen() -> None:
            while True:
                data, source = end.recvfrom(1 << 16)
                if data == b"enough":
                    return
                heard.append(data)
                if answer:
                    end.sendto(b"yes?", source)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield end.getsockname()[1], heard
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.sendto(b"enough", end.getsockname())
            thread.join()


def test_silence_is_what_a_replay_has_to_get(session: Rehearsal, capture: Path) -> None:
    with listening(answer=False) as (port, heard):
        done = run("replay", str(capture), "--to", f"127.0.0.1:{port}", "--wait", "0.1")
    assert done.exit_code == 0, done.output
    assert heard == [*(sent.payload for sent in session.sent), STRANGER.payload]
    assert f"{len(heard)} datagrams replayed: 0 answers, 0 bytes" in done.output


def test_what_one_point_has_seen_is_replayed_alone(session: Rehearsal, capture: Path) -> None:
    with listening(answer=False) as (port, heard):
        done = run("replay", str(capture), "--to", f"127.0.0.1:{port}", "--wait", "0.1", "--point", "far")
    assert (done.exit_code, len(heard)) == (0, len(session.sent) + 1)
    wrong = run("replay", str(capture), "--to", "127.0.0.1:9", "--point", "middle")
    assert wrong.exit_code == 2
    assert "there are far, near" in wrong.output


def test_one_answer_is_too_many(capture: Path) -> None:
    with listening(answer=True) as (port, heard):
        done = run("replay", str(capture), "--to", f"127.0.0.1:{port}", "--wait", "0.5")
    assert done.exit_code == 6
    assert f"{len(heard)} answers, {4 * len(heard)} bytes" in done.output


def test_the_silence_of_nobody_shows_nothing(capture: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(("127.0.0.1", 0))
        port = end.getsockname()[1]
    done = run("replay", str(capture), "--to", f"127.0.0.1:{port}", "--wait", "0.1")
    assert done.exit_code == 1
    assert "nobody listens" in done.stderr
