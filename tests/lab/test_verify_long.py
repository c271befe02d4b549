"""The proof of a capture of any length: the same verdicts, part by part."""

from __future__ import annotations

from pathlib import Path

import pytest

from clawchat.crypto.keylog import parse
from lab.capture import pcapng
from lab.verify import long
from lab.verify.long import Tally, prove_long
from lab.verify.opening import Reason
from lab.verify.rehearsal import Rehearsal, Sent, frame, rehearse


@pytest.fixture(scope="module")
def session() -> Rehearsal:
    return rehearse(5)


def proven(session: Rehearsal, sent: list[Sent], place: Path, *, lost: int = 0) -> Tally:
    file = place / "tape.pcapng"
    with file.open("wb") as stream:
        writer = pcapng.Writer(stream)
        wire = writer.interface("wire")
        for number, one in enumerate(sent):
            writer.packet(wire, number, frame(one), direction=pcapng.INBOUND)
        writer.statistics(wire, len(sent), received=len(sent), lost=lost)
    return prove_long(file, parse(session.keylog))


@pytest.fixture(autouse=True)
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long, "PART", 7)


def test_all_parts_are_proven(session: Rehearsal, tmp_path: Path) -> None:
    tally = proven(session, list(session.sent), tmp_path)
    assert tally.holds
    assert tally.proven == tally.datagrams == len(session.sent)
    assert {epoch for _, epoch in tally.epochs} == {0, 1, 2}


def test_one_flipped_bit_refutes_it(session: Rehearsal, tmp_path: Path) -> None:
    sent = list(session.sent)
    payload = bytearray(sent[20].payload)
    payload[-1] ^= 1
    sent[20] = sent[20]._replace(payload=bytes(payload))
    tally = proven(session, sent, tmp_path)
    assert not tally.holds
    assert (tally.proven, tally.failures) == (len(sent) - 1, {Reason.CLOSED: 1})


def test_a_nonce_that_comes_again_in_another_part_is_found(session: Rehearsal, tmp_path: Path) -> None:
    """Two sessions of the same randomness that say different things seal them with the same keys and numbers."""
    other = rehearse(5, text="meet me somewhere else")
    tally = proven(session, [*session.sent, *other.sent], tmp_path)
    assert not tally.holds
    assert tally.failures[Reason.REPEATED] > 0


def test_what_the_recorder_lost_is_missing(session: Rehearsal, tmp_path: Path) -> None:
    assert not proven(session, list(session.sent), tmp_path, lost=1).holds


def test_an_empty_capture_proves_nothing(session: Rehearsal, tmp_path: Path) -> None:
    assert not proven(session, [], tmp_path).holds
