"""The proof refuses what is no ciphertext, and nothing else."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clawchat.crypto.keylog import parse
from lab import cli
from lab.capture import pcapng
from lab.verify.controls import CONTROLS, Control, judge
from lab.verify.opening import Reason
from lab.verify.proof import Outcome, prove
from lab.verify.rehearsal import Rehearsal, captured, frame, rehearse
from lab.verify.report import lines


@pytest.fixture(scope="module")
def session() -> Rehearsal:
    return rehearse(5)


@pytest.mark.parametrize("control", CONTROLS, ids=[control.name for control in CONTROLS])
def test_each_control_comes_out_as_it_must(control: Control) -> None:
    proof = judge(control)
    assert proof.outcome is control.outcome, proof.reasons
    assert not control.because or any(control.because in reason for reason in proof.reasons), proof.reasons


def test_every_single_bit_counts(session: Rehearsal) -> None:
    chance, ring = random.Random(3), parse(session.keylog)
    for _ in range(20):
        sent = list(session.sent)
        at = chance.randrange(len(sent))
        changed = bytearray(sent[at].payload)
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        sent[at] = sent[at]._replace(payload=bytes(changed))
        proof = prove(captured(sent), ring, strict=True)
        assert proof.outcome is Outcome.REFUTED
        assert (proof.proven, proof.datagrams) == (len(session.sent) - 1, len(session.sent))
        assert [(failure.reason, failure.payload) for failure in proof.failures] == [(Reason.CLOSED, bytes(changed))]


def test_a_datagram_at_several_points_is_one(session: Rehearsal) -> None:
    capture = captured(session.sent)
    for packet in captured(session.sent, point="other").udp:
        capture.udp.append(packet)
    proof = prove(capture, parse(session.keylog), strict=True)
    assert proof.outcome is Outcome.PROVEN
    assert (proof.proven, proof.datagrams, proof.seen) == (*[len(session.sent)] * 2, 2 * len(session.sent))


def test_without_some_of_the_keys_it_is_not_proven(session: Rehearsal) -> None:
    lines = session.keylog.splitlines()
    for word in ("HELLO", "WELCOME", "NOISE", "DATA"):
        ring = parse("\n".join(line for line in lines if not line.startswith(word)))
        assert prove(captured(session.sent), ring).outcome is Outcome.REFUTED


def test_the_keys_of_each_epoch_are_needed(session: Rehearsal) -> None:
    proof = prove(captured(session.sent), parse(session.keylog))
    assert proof.opening is not None
    assert {epoch for _, epoch in proof.opening.ids} == {0, 1, 2}
    lines = session.keylog.splitlines()
    for epoch in range(3):
        ring = parse(
            "\n".join(line for line in lines if not (line.startswith("DATA") and line.split()[3] == str(epoch)))
        )
        assert prove(captured(session.sent), ring).outcome is Outcome.REFUTED


def test_messages_of_websockets_are_judged_like_datagrams(session: Rehearsal) -> None:
    ring = parse(session.keylog)
    capture = captured([])
    capture.messages = list(captured(session.sent).udp)
    proof = prove(capture, ring, strict=True)
    assert (proof.outcome, proof.proven) == (Outcome.PROVEN, proof.datagrams)
    assert proof.datagrams == len({packet.payload for packet in capture.messages})
    assert any("by WebSocket" in line for line in lines(proof))
    spoilt = bytearray(capture.messages[5].payload)
    spoilt[20] ^= 1
    capture.messages[5] = capture.messages[5]._replace(payload=bytes(spoilt))
    assert prove(capture, ring, strict=True).outcome is Outcome.REFUTED


def test_nothing_is_proven_by_nothing(session: Rehearsal) -> None:
    proof = prove(captured([]), parse(session.keylog))
    assert (proof.outcome, proof.reasons) == (Outcome.UNPROVEN, ("there is no datagram to judge",))


def test_what_got_lost_is_not_proven(session: Rehearsal) -> None:
    capture = captured(session.sent)
    capture.lost = 3
    proof = prove(capture, parse(session.keylog))
    assert (proof.outcome, proof.reasons) == (Outcome.UNPROVEN, ("3 frames were lost while recording",))


# ------------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def files(session: Rehearsal, tmp_path: Path) -> tuple[str, str]:
    capture, keys = tmp_path / "session.pcapng", tmp_path / "session.keys"
    with capture.open("wb") as stream:
        writer = pcapng.Writer(stream)
        writer.interface("wire")
        for number, sent in enumerate(session.sent):
            writer.packet(0, number, frame(sent), direction=pcapng.INBOUND)
    keys.write_text(session.keylog)
    return str(capture), str(keys)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["verify", *arguments])


def test_a_capture_is_proven(files: tuple[str, str], session: Rehearsal, tmp_path: Path) -> None:
    capture, keys = files
    said, document = tmp_path / "said.txt", tmp_path / "verdict.json"
    said.write_text(f"{session.text}\n")
    done = run(
        capture, "--keylog", keys, "--strict", "--canary", str(said), "--sent", str(said), "--json", str(document)
    )
    assert done.exit_code == 0, done.output
    count = len(session.sent)
    assert f"proven: {count} of {count} datagrams are ciphertext" in done.output
    told = json.loads(document.read_text())
    assert (told["schema"], told["outcome"], told["proven"], told["datagrams"]) == (1, "proven", count, count)
    assert told["with_keys"]["failures"] == told["blind"]["findings"] == []


def test_without_a_key_log_the_exit_status_is_another(files: tuple[str, str]) -> None:
    done = run(files[0])
    assert done.exit_code == 7
    assert "not proven: 0 of" in done.output


def test_the_wrong_keys_prove_nothing(files: tuple[str, str], tmp_path: Path) -> None:
    other, document = tmp_path / "other.keys", tmp_path / "verdict.json"
    other.write_text(rehearse(6).keylog)
    done = run(files[0], "--keylog", str(other), "--json", str(document))
    assert done.exit_code == 6
    assert Reason.CLOSED in done.output
    (first, *_) = json.loads(document.read_text())["with_keys"]["failures"]
    assert (first["point"], first["reason"], first["source"]) == ("wire", Reason.CLOSED, ["198.51.100.7", 40_000])


def test_the_self_test_says_what_it_did() -> None:
    done = run("--self-test")
    assert done.exit_code == 0
    assert f"{len(CONTROLS)} of {len(CONTROLS)} controls" in done.output


@pytest.mark.parametrize("wrong", ["key log", "capture", "none"])
def test_wrong_files_are_named(
    files: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: str,
) -> None:
    odd = tmp_path / "odd"
    odd.write_text("HELLO world\n")
    arguments = {"key log": [files[0], "--keylog", str(odd)], "capture": [str(odd)], "none": []}[wrong]
    monkeypatch.setattr("sys.argv", ["lab", "verify", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.run()
    assert caught.value.code == 2
    assert wrong == "none" or str(odd) in capsys.readouterr().err
