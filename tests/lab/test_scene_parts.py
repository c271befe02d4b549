from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab import cli
from lab.matrix.programs import KEYS, keylog
from lab.scenes import cargo, rotation
from lab.scenes.ends.copier import Copier, contents
from lab.scenes.result import Outcome, at_most, document
from lab.scenes.stage import held_up


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    pair = (tmp_path / "one", tmp_path / "other")
    for folder in pair:
        folder.mkdir()
    return pair


def test_what_appears_or_vanishes_in_one_folder_does_so_later_in_the_other(folders: tuple[Path, Path]) -> None:
    one, other = folders
    copier = Copier(folders, 5.0)
    (one / "a").write_bytes(b"1")
    copier.look(now=0.0)
    copier.look(now=4.9)
    assert contents(other) == {}
    copier.look(now=5.0)
    assert contents(other) == {"a": b"1"}
    (other / "a").unlink()
    copier.look(now=6.0)
    copier.look(now=10.9)
    assert contents(one) == {"a": b"1"}
    copier.look(now=11.0)
    copier.look(now=30.0)
    assert (contents(one), contents(other)) == ({}, {})


def test_a_file_that_was_copied_is_not_copied_back(folders: tuple[Path, Path]) -> None:
    one, _ = folders
    copier = Copier(folders, 1.0)
    (one / "a").write_bytes(b"1")
    copier.look(now=0.0)
    copier.look(now=1.0)
    (one / "a").write_bytes(b"2")
    copier.look(now=1.5)
    for now in (2.0, 2.5, 3.0, 4.0):
        copier.look(now=now)
    assert [contents(folder) for folder in folders] == [{"a": b"2"}] * 2


@pytest.mark.parametrize("size", [0, 1, cargo.BLOCK, 3 * cargo.BLOCK + 5])
def test_the_hash_is_that_of_the_cargo(size: int) -> None:
    whole = b"".join(itertools.islice(cargo.blocks(), size // cargo.BLOCK + 1))[:size]
    assert cargo.expected(size) == hashlib.sha256(whole).hexdigest()


def test_waits_are_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 0.01, 0.02, 1.5])
    monkeypatch.setattr("time.monotonic", lambda: next(times))
    intake = cargo.Intake()
    for _ in range(3):
        intake.take(b"x")
    assert intake.waits == [(0.02, 1.5)]
    assert intake.waits[0].seconds == pytest.approx(1.48)


@pytest.mark.parametrize(
    ("waits", "seconds"),
    [
        ([], 0.0),
        ([(1.0, 2.0)], 0.0),
        ([(9.9, 11.2)], 1.2),
        ([(9.9, 10.1), (10.4, 11.4), (40.0, 60.0)], 1.0),
        ([(10.5, 11.0), (9.0, 10.4)], 0.5),
    ],
)
def test_the_longest_wait_after_a_mishap_counts(waits: list[tuple[float, float]], seconds: float) -> None:
    assert held_up({"waits": waits}, 10.0) == pytest.approx(seconds)


def test_a_claim_that_does_not_hold_or_trouble_is_a_scene_that_missed() -> None:
    good, bad = at_most("a", 1.0, 1.5), at_most("b", 1.6, 1.5)
    outcomes = [
        Outcome("x", (good,), {}, 1.0),
        Outcome("y", (good, bad), {}, 1.0),
        Outcome("z", (good,), {}, 1.0, "the server did not start"),
    ]
    told = document(outcomes)
    assert told["summary"] == {"scenes": 3, "held": 1, "missed": 2}
    assert told["scenes"][1]["claims"][1] == {"claim": "b", "seen": 1.6, "wanted": "at most 1.5 s", "holds": False}


def test_a_loss_between_two_ends_is_shared_by_both_cables() -> None:
    laid = rotation.network("full-cone", "port-restricted", 0.2)
    passed = [1 - gateway.link.loss for gateway in laid.gateways.values()]
    assert len(passed) == 2
    assert passed[0] * passed[1] == pytest.approx(0.8)


def test_scenes_are_listed_and_unknown_ones_refused() -> None:
    listed = CliRunner().invoke(cli.main, ["scene"])
    assert listed.exit_code == 0
    assert {"cut", "carrier-dies", "drop-60", "by-hand"} <= {line.split()[0] for line in listed.stdout.splitlines()}
    refused = CliRunner().invoke(cli.main, ["scene", "cat"])
    assert refused.exit_code == 2
    assert "no scene is called cat" in refused.stderr


def test_a_program_that_is_started_again_logs_its_keys_beside_the_first_ones(tmp_path: Path) -> None:
    """No program writes into a key log that it finds; a relay that was to be started again once ended for that."""
    home = tmp_path / "relay-1"
    names = []
    for _ in range(3):
        _, name = keylog(home)
        Path(name).touch()
        names.append(Path(name).name)
    assert names == ["relay-1.keys", "relay-1.2.keys", "relay-1.3.keys"]
    assert len(list(tmp_path.glob(f"*{KEYS}"))) == len(names)
