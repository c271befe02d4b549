"""The command that tries every pair of NATs, over the simulator and over namespaces with real programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab import cli
from lab.commands.shared import EXIT_UNEXPECTED
from lab.matrix import expected, simulated
from lab.matrix.expected import BLOCKED, NAMES, NO_UDP, Verdict
from lab.matrix.namespaces import result
from lab.matrix.result import CellResult, Matrix, grid
from lab.report import console


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["matrix", *arguments])


def written(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def test_the_whole_matrix_over_the_simulator(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    done = run("--backend", "sim", "--json", str(file))
    assert done.exit_code == 0, done.output
    found = written(file)
    assert found["summary"] == {"cells": 49, "unexpected": 0, "direct": 33, "relay": 3, "fail": 13}
    assert [(cell["client"], cell["server"]) for cell in found["cells"]] == [(a, b) for a in NAMES for b in NAMES]
    blocked = [cell for cell in found["cells"] if BLOCKED in {cell["client"], cell["server"]}]
    assert {(cell["verdict"], cell["because"]) for cell in blocked} == {("fail", NO_UDP)}


@pytest.mark.netns
def test_real_programs_behind_real_nats(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    done = run("--nat", "address-restricted,port-restricted", "--json", str(file))
    assert done.exit_code == 0, done.output
    found = written(file)
    assert found["summary"] == {"cells": 4, "unexpected": 0, "direct": 4, "relay": 0, "fail": 0}
    assert all(cell["opened_after_seconds"] < 10 for cell in found["cells"])


@pytest.mark.netns
@pytest.mark.slow
def test_real_programs_tell_a_relay_and_silence_from_a_direct_path(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    done = run("--nat", "symmetric-random,udp-blocked", "--json", str(file))
    assert done.exit_code == 0, done.output
    assert [cell["verdict"] for cell in written(file)["cells"]] == ["relay", "fail", "fail", "fail"]


@pytest.mark.parametrize("better", [Verdict.DIRECT, Verdict.FAIL])
def test_a_better_verdict_is_as_unexpected_as_a_worse_one(
    better: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "symmetric-random"
    wrong = Matrix("sim", (CellResult(name, name, better, "a wonder"),))
    monkeypatch.setattr(simulated, "try_simulated", lambda _names: wrong)
    file = tmp_path / "matrix.json"
    done = run("--backend", "sim", "--nat", name, "--json", str(file))
    assert done.exit_code == EXIT_UNEXPECTED
    assert f"{name} x {name}: {better}, not relay: a wonder" in done.stderr
    assert written(file)["summary"]["unexpected"] == 1


@pytest.mark.parametrize("names", ["cone", "cgnat"])
def test_a_nat_of_which_nothing_is_expected_is_refused(names: str) -> None:
    done = run("--backend", "sim", "--nat", names)
    assert done.exit_code == 2
    assert "port-restricted" in done.stderr


def event(kind: str, time: float, **fields: object) -> dict[str, Any]:
    return {"schema": 1, "event": kind, "time": time, **fields}


DIRECT_PATH = "203.0.113.5:5000 (direct)"
BEGUN = [event("connecting", 10.0), event("connected", 10.5, path="relay")]


@pytest.mark.parametrize(
    ("events", "verdict", "direct_after"),
    [
        ([], Verdict.FAIL, None),
        (BEGUN[:1], Verdict.FAIL, None),
        (BEGUN, Verdict.FAIL, None),
        ([*BEGUN, event("pong", 11.0, path="relay")], Verdict.RELAY, None),
        (
            [
                *BEGUN,
                event("path_changed", 12.0, path=DIRECT_PATH, why="punched"),
                event("pong", 13.0, path=DIRECT_PATH),
            ],
            Verdict.DIRECT,
            1.5,
        ),
        # It had a direct path and lost it, so that is no direct path.
        (
            [*BEGUN, event("path_changed", 12.0, path=DIRECT_PATH, why="punched"), event("pong", 13.0, path="relay")],
            Verdict.RELAY,
            None,
        ),
    ],
)
def test_a_verdict_is_the_path_that_carried_data_last(
    events: list[dict[str, Any]], verdict: Verdict, direct_after: float | None
) -> None:
    cell = result("port-restricted", "open", events, "CC-SERVER-SILENT")
    assert (cell.verdict, cell.direct_after) == (verdict, direct_after)
    assert cell.reason == ("punched" if verdict is Verdict.DIRECT else "CC-SERVER-SILENT")


@pytest.mark.parametrize("code", ["CC-UNEXPECTED", ""])
def test_a_program_that_broke_is_no_expected_failure(code: str) -> None:
    assert not result("open", BLOCKED, BEGUN[:1], "CC-SERVER-SILENT").unexpected
    cell = result("open", BLOCKED, BEGUN[:1], code)
    assert (cell.verdict, cell.unexpected, cell.broken) == (Verdict.FAIL, True, True)
    assert cell.reason != NO_UDP


def test_a_grid_shows_what_is_unexpected() -> None:
    screen = console()
    with screen.capture() as seen:
        screen.print(grid([CellResult("open", "open", Verdict.RELAY, "")]))
    assert "relay, not direct" in seen.get()


def test_the_best_verdict_does_not_depend_on_who_begins() -> None:
    assert all(expected.expected(one, other) is expected.expected(other, one) for one in NAMES for other in NAMES)
