"""Small versions of the studies: what they measure, how they tell it, and that a seed repeats it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from click.testing import CliRunner, Result

from clawchat.values.limits import EARLY_INTERVAL
from lab import cli
from lab.matrix.expected import Verdict
from lab.model.presets import PRESETS
from lab.report import console
from lab.strategies.strategy import Strategy
from lab.study import poisonable, simulated, sweep, times
from lab.study.bout import ROUND_TRIP, Bout, Trial, both_late
from lab.study.figures import Row, Target, shown
from lab.study.population import MIXES, PEERS, Mix

CONE = "port-restricted"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, list(arguments))


def test_ours_passes_poisonable_gateways_at_every_skew_and_full_probes_do_not() -> None:
    rows = poisonable.study("sim", 2, seed=1, blind=False)
    ours = [row for row in rows if row.strategy == "clawchat"]
    plain = [row.direct for row in rows if row.strategy == "plain"]
    assert [row.direct for row in ours] == [2, 2, 2, 2]
    assert plain == [2, 0, 0, 0]
    assert poisonable.summary(rows) == "clawchat direct in 8 of 8; plain direct in 2 of 8"


def test_ours_passes_poisonable_gateways_even_if_it_does_not_know_how_far_to_prime() -> None:
    rows = poisonable.study("sim", 2, seed=1, blind=True, sides=[Strategy.CLAWCHAT])
    assert [row.direct for row in rows] == [2, 2, 2, 2]


@pytest.mark.parametrize("number", [0, 1, 3, 4, 5])
def test_targets_are_met_in_virtual_time(number: int) -> None:
    case = times.CASES[number]
    # Of fewer runs than a hundred the worst stands for the hundredth.
    rows = times.study("sim", 100 if "random" in case.name else 40, seed=1, cases=[case._replace(rivals=())])
    assert [str(target) for row in rows for target in row.missed] == []


def test_a_full_cone_that_asks_a_random_port_waits_for_little_more_than_a_round_trip() -> None:
    """The port is known to nobody before its owner has sent, and what comes before the WELCOME means nothing yet."""
    row = times.study("sim", 10, seed=1, cases=[times.CASES[2]._replace(rivals=())])[0]
    assert row.took(99) == pytest.approx(ROUND_TRIP + EARLY_INTERVAL)


def test_rivals_stand_beside_ours_and_the_document_repeats_itself(tmp_path: Path) -> None:
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for file in files:
        done = run("study", "times", "--backend", "sim", "--runs", "3", "--case", "1", "--json", str(file))
        assert done.exit_code == 0, done.output
        assert "every target met" in done.output
    found = [json.loads(file.read_text()) for file in files]
    assert found[0] == found[1]
    assert found[0]["again"] == "python -m lab study times --backend sim --runs 3 --seed 1 --case 1"
    assert [(row["strategy"], row["runs"], row["direct"]) for row in found[0]["rows"]] == [
        ("clawchat", 3, 3),
        ("plain", 3, 3),
    ]
    assert (found[0]["schema"], found[0]["rows"][0]["targets"][0]["met"]) == (1, True)


def test_there_are_so_many_cases_and_no_more() -> None:
    assert run("study", "times", "--backend", "sim", "--case", "99").exit_code == 2


def test_a_missed_target_is_told() -> None:
    row = Row("case", "clawchat", [Trial(Verdict.DIRECT, 0.5, 9)], [Target("p50", 0.4), Target("packets", 9)])
    assert [str(one) for one in row.missed] == ["p50 400 ms"]
    assert not Target("p99", 1.0).met(Row("case", "plain", [Trial(Verdict.RELAY, None, 3)]))
    screen = console()
    with screen.capture() as seen:
        screen.print(shown("title", [row]))
    assert "p50 400 ms missed; 9 packets met" in " ".join(seen.get().split())


def test_lateness_takes_turns() -> None:
    assert (both_late(0.2, 0), both_late(0.2, 1)) == ((0.0, 0.2), (0.2, 0.0))


def test_loss_is_what_happens_between_the_two_ends() -> None:
    link = Bout(Strategy.PLAIN, CONE, CONE, 1, loss=0.05).link
    assert 1 - (1 - link.loss) ** 2 == pytest.approx(0.05)
    assert 4 * link.delay == pytest.approx(ROUND_TRIP)


@pytest.mark.parametrize("mix", MIXES.values(), ids=str)
def test_a_mix_is_whole_and_made_of_presets(mix: Mix) -> None:
    assert sum(group.share for group in mix.groups) == pytest.approx(100)
    assert {name for group in mix.groups for name in group.presets} <= set(PRESETS)
    random = Random(1)
    drawn = [mix.draw(random) for _ in range(4000)]
    for name in set(drawn):
        assert 100 * drawn.count(name) / len(drawn) == pytest.approx(mix.share(name), abs=3)


def test_of_a_sweep_none_of_ours_fails_and_no_rival_is_better() -> None:
    found = sweep.sweep(PEERS, 60, seed=3)
    assert found.failed == []
    ours, plain = (found.share(side, Verdict.DIRECT) for side in ("clawchat", "plain"))
    assert ours > plain
    assert ours > 80
    assert sum(number for _, number in found.kinds) == 60
    assert found.as_json()["again"] == "python -m lab sweep --mix peers --pairs 60 --seed 3"


def test_a_sweep_tells_its_source_and_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "sweep.json"
    done = run("sweep", "--pairs", "6", "--json", str(file))
    assert done.exit_code == 0, done.output
    assert "Halkes and Pouwelse" in done.output
    document = json.loads(file.read_text())
    assert set(document["summary"]) == {"clawchat", "plain", "birthday"}
    failing = sweep.Sweep(PEERS, 1, 1, [Strategy.CLAWCHAT], Counter(), [("open", "open", 7)], 0.0)
    monkeypatch.setattr(sweep, "sweep", lambda *_args, **_more: failing)
    done = run("sweep", "--pairs", "1")
    assert (done.exit_code, "failed: open x open, seed 7" in done.output) == (4, True)


def test_the_same_bout_has_the_same_end() -> None:
    bout = Bout(Strategy.CLAWCHAT, CONE, "symmetric-random", 5)
    assert simulated.fight(bout) == simulated.fight(bout)


@pytest.mark.netns
def test_ours_and_a_rival_behind_the_same_real_gateways(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    done = run("study", "times", "--runs", "2", "--case", "1", "--json", str(file))
    assert done.exit_code == 0, done.output
    assert [(row["strategy"], row["direct"]) for row in json.loads(file.read_text())["rows"]] == [
        ("clawchat", 2),
        ("plain", 2),
    ]
