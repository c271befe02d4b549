"""The command that tries every pair of NATs, over the simulator and over namespaces with real programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab import cli
from lab.commands.shared import EXIT_UNEXPECTED
from lab.matrix import simulated
from lab.matrix.expected import BLOCKED, NAMES, NO_UDP, Pair, Table, Verdict, table
from lab.matrix.namespaces import with_second_looks
from lab.matrix.result import CellResult, Matrix, Proof, Run
from lab.matrix.session import judged


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
    assert found["summary"] == {"cells": 49, "unexpected": 0, "direct": 33, "relay": 16, "fail": 0}
    assert [(cell["client"], cell["server"]) for cell in found["cells"]] == [(a, b) for a in NAMES for b in NAMES]
    blocked = [cell for cell in found["cells"] if BLOCKED in {cell["client"], cell["server"]}]
    assert {(cell["verdict"], cell["because"]) for cell in blocked} == {("relay", NO_UDP)}


def test_the_second_table_over_the_simulator(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    done = run("--backend", "sim", "--table", "second", "--json", str(file))
    assert done.exit_code == 0, done.output
    assert written(file)["summary"]["cells"] == len(table(Table.SECOND)) == 72


def test_a_direct_path_is_proven_by_cutting_the_relays_off(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    done = run("--backend", "sim", "--nat", "port-restricted,symmetric-random", "--json", str(file))
    assert done.exit_code == 0, done.output
    proofs = [(cell["verdict"], cell["proof"]["answered"]) for cell in written(file)["cells"]]
    assert proofs == [("direct", 3), ("direct", 3), ("direct", 3), ("relay", 0)]


def test_a_seed_is_the_same_whoever_tries_it() -> None:
    pairs = [("port-restricted", "symmetric-random"), ("open", "open")]
    many = simulated.try_simulated(pairs, runs=simulated.WORTHWHILE // 2)
    few = simulated.try_simulated(pairs, runs=3)
    assert [cell.runs[:3] for cell in many.cells] == [cell.runs for cell in few.cells]
    assert len({run.direct_after for run in many.cells[0].runs}) > 10


@pytest.mark.netns
def test_real_programs_behind_real_nats(tmp_path: Path) -> None:
    file, captures = tmp_path / "matrix.json", tmp_path / "captures"
    done = run("--nat", "address-restricted,symmetric-sequential", "--json", str(file), "--capture", str(captures))
    assert done.exit_code == 0, done.output
    found = written(file)
    assert found["summary"] == {"cells": 4, "unexpected": 0, "direct": 4, "relay": 0, "fail": 0}
    assert all(cell["opened_after_seconds"] < 10 for cell in found["cells"])
    assert all(cell["proof"]["answered"] >= 3 for cell in found["cells"])
    assert all(min(cell["packets"].values()) > 3 for cell in found["cells"])
    assert "in 4 of 4 captures proven to be ciphertext" in done.output
    for cell in found["cells"]:
        proven, datagrams = map(int, cell["ciphertext"].split("/"))
        assert proven == datagrams > 50
        again = CliRunner().invoke(
            cli.main, ["verify", cell["capture"], "--keylog", str(captures / "keys.log"), "--strict"]
        )
        assert again.exit_code == 0, again.output
        assert f"proven: {proven} of {proven} datagrams" in again.output


@pytest.mark.netns
def test_a_pair_is_repeated_by_the_command_that_its_cell_names(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    pair = "symmetric-random,symmetric-sequential"
    done = run("--pair", pair, "--runs", "2", "--no-capture", "--json", str(file))
    assert done.exit_code == 0, done.output
    (cell,) = written(file)["cells"]
    assert (cell["verdicts"], cell["reason"]) == ({"direct": 0, "relay": 2, "fail": 0}, "both-symmetric")
    assert cell["proof"] == {"asked": 1, "answered": 0}
    assert (cell["capture"], cell["ciphertext"]) == (None, None)
    assert cell["again"].endswith("--backend netns --pair symmetric-random,symmetric-sequential")


@pytest.mark.parametrize("better", [Verdict.DIRECT, Verdict.FAIL])
def test_a_better_verdict_is_as_unexpected_as_a_worse_one(
    better: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "symmetric-random"
    wrong = Matrix("sim", (CellResult(name, name, (Run(better, "a wonder"),)),))
    monkeypatch.setattr(simulated, "try_simulated", lambda _pairs, runs: wrong if runs == 1 else None)
    file = tmp_path / "matrix.json"
    done = run("--backend", "sim", "--nat", name, "--json", str(file))
    assert done.exit_code == EXIT_UNEXPECTED
    assert f"{name} x {name}: {better}, not relay: a wonder" in done.stderr
    assert f"again: python -m lab matrix --backend sim --pair {name},{name}" in done.stderr
    assert written(file)["summary"]["unexpected"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--nat", "port-restrict"), "did you mean 'port-restricted'?"),
        (("--pair", "open"), "a pair is CLIENT,SERVER"),
        (("--nat", "open", "--table", "all"), "one of --nat, --pair and --table"),
    ],
)
def test_wrong_pairs_are_refused(arguments: tuple[str, ...], told: str) -> None:
    done = run("--backend", "sim", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr


def test_one_bad_run_spoils_a_cell() -> None:
    good, bad = Run(Verdict.DIRECT, "punched"), Run(Verdict.RELAY, "no-answer")
    cell = CellResult("open", "open", (good, bad, good))
    assert (cell.unexpected, cell.verdict, cell.met) == (True, Verdict.RELAY, "relay, not direct")
    assert cell.as_json("sim")["unexpected_runs"] == 1


def test_one_guess_in_three_may_miss_and_nothing_else_may() -> None:
    hit, missed, other = (
        Run(Verdict.DIRECT, "guessed"),
        Run(Verdict.RELAY, "guess-missed"),
        Run(Verdict.RELAY, "struck"),
    )
    pair = ("port-restricted", "symmetric-random")
    assert [CellResult(*pair, (missed, hit, hit)[:count]).unexpected for count in (1, 2, 3)] == [True, True, False]
    assert CellResult(*pair, (missed, hit, hit)).verdict is Verdict.DIRECT
    assert CellResult(*pair, (missed, hit, missed)).unexpected
    assert CellResult(*pair, (other, hit, hit)).unexpected
    # Where no guess can help a relay is expected, and a guess that missed changes nothing.
    assert not CellResult("symmetric-random", "symmetric-random", (missed,)).unexpected


def test_who_missed_is_tried_again_until_it_is_clear() -> None:
    hit, missed = Run(Verdict.DIRECT, "guessed"), Run(Verdict.RELAY, "guess-missed")
    pairs = [("open", "open"), ("port-restricted", "symmetric-random")]
    asked = []

    def once(pairs: Sequence[Pair], runs: int, _taping: object) -> tuple[CellResult, ...]:
        asked.append((list(pairs), runs))
        return tuple(CellResult(*pair, (missed if pair == pairs[-1] and len(asked) == 1 else hit,)) for pair in pairs)

    first, second = with_second_looks(once, pairs, 1, None)
    assert asked == [(pairs, 1), (pairs[1:], 1), (pairs[1:], 1)]
    assert (len(first.runs), len(second.runs), second.unexpected) == (1, 3, False)


def test_a_capture_that_proves_nothing_spoils_a_cell() -> None:
    run = Run(Verdict.DIRECT, "punched", ciphertext="98/99", unproven="1 × no logged key opens it")
    cell = CellResult("open", "open", (run,))
    assert cell.unexpected
    assert cell.met == "direct, not proven to be ciphertext (1 × no logged key opens it)"
    assert (
        Matrix("netns", (cell,)).summary().endswith("; 98 of 99 datagrams in 0 of 1 captures proven to be ciphertext")
    )


def test_there_is_nothing_to_record_in_the_simulator() -> None:
    assert run("--backend", "sim", "--nat", "open", "--capture", "captures").exit_code == 2


@pytest.mark.parametrize(("verdict", "answered"), [(Verdict.DIRECT, 0), (Verdict.RELAY, 1)])
def test_a_verdict_that_the_cut_contradicts_is_unexpected(verdict: Verdict, answered: int) -> None:
    name = "open" if verdict is Verdict.DIRECT else "symmetric-random"
    cell = CellResult(name, name, (Run(verdict, "", proof=Proof(3, answered)),))
    assert cell.unexpected
    assert cell.met == f"{verdict} without proof"


def event(kind: str, time: float, **fields: object) -> dict[str, Any]:
    return {"schema": 1, "event": kind, "time": time, **fields}


DIRECT_PATH = "203.0.113.5:5000 (direct)"
BEGUN = [event("connecting", 10.0, candidates=1, relays=2), event("connected", 10.5, path="relay")]


@pytest.mark.parametrize(
    ("events", "verdict", "direct_after"),
    [
        ([], Verdict.FAIL, None),
        (BEGUN[:1], Verdict.FAIL, None),
        (BEGUN, Verdict.FAIL, None),
        ([*BEGUN, event("pong", 11.0, path="relay", rtt_ms=1.0, not_direct="no-answer")], Verdict.RELAY, None),
        (
            [
                *BEGUN,
                event("path_changed", 12.0, path=DIRECT_PATH, why="punched"),
                event("pong", 13.0, path=DIRECT_PATH, rtt_ms=1.0),
            ],
            Verdict.DIRECT,
            1.5,
        ),
        # It had a direct path and lost it, so that is no direct path.
        (
            [
                *BEGUN,
                event("path_changed", 12.0, path=DIRECT_PATH, why="punched"),
                event("pong", 13.0, path="relay", rtt_ms=1.0, not_direct="no-answer"),
            ],
            Verdict.RELAY,
            None,
        ),
    ],
)
def test_a_verdict_is_the_path_that_carried_data_last(
    events: list[dict[str, Any]], verdict: Verdict, direct_after: float | None
) -> None:
    found = judged(events, "CC-SERVER-SILENT", (0, 0))
    assert (found.verdict, found.direct_after) == (verdict, direct_after)
    reasons = {Verdict.DIRECT: "punched", Verdict.RELAY: "no-answer", Verdict.FAIL: "CC-SERVER-SILENT"}
    assert found.reason == reasons[verdict]


@pytest.mark.parametrize(("asked_at", "proven"), [(13.5, True), (12.5, False)])
def test_only_pings_asked_after_the_cut_are_proof(asked_at: float, *, proven: bool) -> None:
    late = event("pong", 14.0, path=DIRECT_PATH, rtt_ms=1000 * (14.0 - asked_at))
    events = [*BEGUN, event("pong", 12.0, path=DIRECT_PATH, rtt_ms=1.0), late]
    found = judged(events, "", (0, 0), cut_at=13.0)
    assert found.verdict is Verdict.DIRECT
    assert found.sound is proven
    assert any("relays cut off" in moment.what for moment in found.timeline)


@pytest.mark.parametrize("code", ["CC-UNEXPECTED", ""])
def test_a_program_that_broke_is_told_from_one_that_found_no_way(code: str) -> None:
    pair = ("open", BLOCKED)
    assert CellResult(*pair, (judged(BEGUN[:1], "CC-SERVER-SILENT", (0, 0)),)).met == "fail, not relay"
    found = judged(BEGUN[:1], code, (0, 0))
    cell = CellResult(*pair, (found,))
    assert (cell.verdict, cell.unexpected, cell.met) == (Verdict.FAIL, True, "broken")


@pytest.mark.parametrize("path", ["relay", "relay over WebSocket"])
def test_a_relay_is_a_relay_however_it_is_reached(path: str) -> None:
    events = [*BEGUN, event("pong", 12.0, path=path, rtt_ms=1.0, not_direct="udp-blocked")]
    found = judged(events, "", (0, 0))
    assert (found.verdict, found.reason, found.direct_after) == (Verdict.RELAY, "udp-blocked", None)


@pytest.mark.netns
def test_real_programs_behind_firewalls_that_drop_udp(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    done = run("--nat", f"{BLOCKED},udp-blocked-443,port-restricted", "--json", str(file))
    assert done.exit_code == 0, done.output
    found = written(file)
    assert found["summary"] == {"cells": 9, "unexpected": 0, "direct": 1, "relay": 8, "fail": 0}
    mine = {cell["reason"] for cell in found["cells"] if cell["client"] != "port-restricted"}
    assert mine == {"udp-blocked"}
    assert all(cell["opened_after_seconds"] < 10 for cell in found["cells"])
