"""A chat between two NATs, recorded on both sides of both gateways: proven whole, and refused with one bit changed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clawchat.crypto.keylog import KeyRing, parse
from clawchat.net import control
from clawchat.wire.dissect import Kind
from clawchat.wire.frames import Stream
from lab.backends.netns.machine import environment
from lab.backends.netns.world import opened
from lab.capture.recording import Point, Recorder
from lab.matrix.programs import KEYS, keylog, relay, server
from lab.matrix.tapes import Tapes
from lab.model.plan import plan
from lab.model.topology import Host, row
from lab.verify.canaries import Needle, of_text
from lab.verify.opening import Reason
from lab.verify.proof import Outcome, prove
from lab.verify.reading import read
from lab.verify.replaying import Replayed, replay

pytestmark = pytest.mark.netns

PAIR = ("port-restricted", "address-restricted")
SAID = ("meet me at the old harbour", "bring the third key, not the second one")
NAME = "anna.lindqvist"
PATIENCE = 60.0


@dataclass(frozen=True)
class Tape:
    file: Path
    ring: KeyRing
    replayed: dict[str, Replayed]
    """What became of all that had arrived at the server, and at the relay, when it was sent there once more."""


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tape]:
    """Record a chat in which everything is said."""
    place = tmp_path_factory.mktemp("chat")
    wanted = plan(row(PAIR, hosts=[Host("relay")]))
    with opened(wanted) as world:
        networks = {node: each.path for node, each in world.namespaces.items()}
        with Tapes(wanted, networks, place) as tapes, Recorder() as recorder:
            file, arrived = tapes.begin(PAIR, ["g1", "g2"]), place / "arrived"
            ends = {"relay": ("relay", "wan"), "server": ("g2-a", "eth0")}
            recorder.record(
                arrived, [Point(str(networks[node]), device, name) for name, (node, device) in ends.items()]
            )
            hub = relay(world.machine("relay"), place / "relay")
            hub.wait_for("started")
            home = server(world.machine("g2-a"), place / "server", [hub.security / "relay.sec"])
            home.wait_for("relay-joined")
            words = ["connect", str(home.invite("anna")), "--name", NAME, "--listen", "2", *keylog(place / "client")]
            (place / "client").mkdir(mode=0o700)
            client = world.namespace("g1-a").exec(
                [sys.executable, "-m", "client", *words],
                env=environment(place / "client"),
                cwd=place,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
            )
            client.communicate("\n".join(SAID).encode(), timeout=PATIENCE)
            assert client.returncode == 0
            tapes.end(file)
            recorder.end(arrived)
        replayed = {}
        with world.namespace("g2").entered():
            for node, program in ((wanted.peers["g2-a"].address, home), (wanted.hosts["relay"].addresses[0], hub)):
                name = program.directory.name
                payloads = [
                    one.payload for one in read([arrived]).udp if (one.point, one.destination[0]) == (name, node)
                ]
                port = control.call(program.security / "control.sock", "status")["port"].rpartition(":")[2]
                replayed[name] = replay(payloads, (node, int(port)), wait=1.5)
        yield Tape(file, parse("\n".join(log.read_text("ascii") for log in place.glob(f"*{KEYS}"))), replayed)


def secrets() -> list[Needle]:
    return [needle for text in (*SAID, NAME, "clawchat-server", "lobby") for needle in of_text(text)]


def test_both_halves_prove_it(tape: Tape) -> None:
    proof = prove(read([tape.file]), tape.ring, strict=True, canaries=secrets())
    assert proof.outcome is Outcome.PROVEN, (proof.reasons, proof.blind.findings)
    assert proof.proven == proof.datagrams > 30
    assert proof.blind.findings == []
    assert proof.blind.skipped == {}
    assert proof.opening is not None
    assert set(proof.opening.kinds) == {kind.value for kind in Kind}
    assert {"Stream", "Ack", "Forward", "PathChallenge"} <= set(proof.opening.frames)
    assert proof.opening.carried
    assert proof.opening.carried_closed == 0


def test_each_gateway_was_recorded_on_both_sides(tape: Tape) -> None:
    capture = read([tape.file])
    assert {packet.point for packet in capture.udp} == {"g1 lan", "g1 wan", "g2 lan", "g2 wan"}
    outside = {packet.source[0] for packet in capture.udp if packet.point == "g1 wan"}
    assert "10.1.0.2" not in outside
    comments = tape.file.read_bytes()
    assert f"node g2; claimed {PAIR[1]}; cell {' x '.join(PAIR)}; side lan".encode() in comments


def test_what_was_said_is_in_there_for_who_has_the_keys(tape: Tape) -> None:
    proof = prove(read([tape.file]), tape.ring)
    assert proof.opening is not None
    opened = b"".join(
        bytes(frame.data)
        for one in (*proof.opening.opened, *proof.opening.carried)
        if one.dissection.kind is Kind.DATA
        for frame in one.dissection.contents
        if isinstance(frame, Stream)
    )
    assert all(text.encode() in opened for text in (*SAID, NAME))


def test_none_of_it_is_answered_a_second_time(tape: Tape) -> None:
    assert set(tape.replayed) == {"server", "relay"}
    for done in tape.replayed.values():
        assert done.sent > 20
        assert (done.answers, done.refusals) == ((), 0)


def test_one_flipped_bit_refutes_it(tape: Tape) -> None:
    data = bytearray(tape.file.read_bytes())
    payload = next(packet.payload for packet in read([tape.file]).udp if packet.point == "g1 wan")
    data[data.rindex(payload) + len(payload) // 2] ^= 4
    changed = tape.file.with_suffix(".changed")
    changed.write_bytes(data)
    proof = prove(read([changed]), tape.ring, strict=True)
    assert proof.outcome is Outcome.REFUTED
    assert [failure.reason for failure in proof.failures] == [Reason.CLOSED]
    assert proof.proven == proof.datagrams - 1


def test_the_wrong_canary_is_one_that_the_headers_show(tape: Tape) -> None:
    """What is not in the payloads is not found there, though it is all over the capture."""
    assert b"g1 wan" in tape.file.read_bytes()
    proof = prove(read([tape.file]), tape.ring, canaries=list(of_text("g1 wan")))
    assert proof.outcome is Outcome.PROVEN
