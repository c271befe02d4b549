from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab import cli, privilege
from lab.gate.suspects import Candidate, candidates
from lab.model.presets import PRESETS


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments)


def run_json(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    parsed: dict[str, Any] = json.loads(done.stdout)
    return parsed


def test_presets_are_listed() -> None:
    assert [one["name"] for one in run_json("presets")["presets"]] == list(PRESETS)
    assert all(name in run("presets").output for name in PRESETS)


def test_a_plan_says_what_would_be_built() -> None:
    plan = run_json("plan", "--nat", "cgnat,open")
    assert plan["namespaces"] == ["router", "relay", "stun", "g1", "g1-outer", "g2", "g1-a", "g2-a"]
    assert plan["rules"] == {"g1": "port-restricted.nft", "g1-outer": "port-restricted-remap.nft", "g2": "–"}
    assert "address add 203.0.113.1/32 dev wan" in plan["commands"]["g1-outer"]
    text = run("plan", "--nat", "cgnat,open").output
    assert "g1-outer" in text
    assert "plain router" in text


def test_a_plan_of_a_file() -> None:
    example = Path(__file__).parents[2] / "lab/topologies/two-homes.yaml"
    assert run_json("plan", str(example))["topology"] == "two-homes"
    assert "delay=0.02" in run("plan", str(example)).output


def test_a_wrong_file_is_told_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("topology: x\npears: {}\n")
    monkeypatch.setattr("sys.argv", ["lab", "plan", str(wrong)])
    with pytest.raises(SystemExit) as caught:
        cli.run()
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert f"{wrong}:2:1: unknown key 'pears'" in told
    assert "next:  Write 'peers'." in told


@pytest.mark.parametrize(
    "arguments",
    [
        ("plan", "--nat", "cone"),
        ("gate", "--backend", "sim", "--nat", "cone"),
        ("gate", "--backend", "cloud"),
        ("plan", "x.yaml"),
    ],
)
def test_wrong_arguments_are_refused(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stdout == ""


def test_a_file_and_presets_exclude_each_other() -> None:
    example = Path(__file__).parents[2] / "lab/topologies/two-homes.yaml"
    assert run("plan", str(example), "--nat", "open").exit_code == 2


def test_the_gate_over_the_simulator() -> None:
    report = run_json("gate", "--backend", "sim", "--nat", "double,full-cone")
    assert [one["gateway"] for one in report["gateways"]] == ["double", "full-cone"]
    assert "honest: 2 gateways of sim" in run("gate", "--backend", "sim", "--nat", "double,full-cone").output


def test_a_dishonest_laboratory_ends_with_its_own_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    swapped = Candidate(PRESETS["full-cone"], built=PRESETS["port-restricted"].layers)
    monkeypatch.setattr("lab.commands.gate.chosen", lambda _names, _rules: [swapped])
    done = run("gate", "--backend", "sim")
    assert done.exit_code == 3
    assert "lab dishonest" in done.stdout
    assert (
        "full-cone: filtering: claimed endpoint-independent, met address-and-port-dependent" in done.stderr.splitlines()
    )


def test_second_opinions_can_be_insisted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.netns.available", lambda: None)
    monkeypatch.setattr("lab.gate.tools.missing", lambda: ("stun (package stun-client)",))
    done = run("gate", "--tools")
    assert done.exit_code == 1
    assert "stun-client" in done.stderr


def test_candidates_by_rules() -> None:
    assert [one.title for one in candidates(["port-restricted"], "all")] == [
        "port-restricted",
        "port-restricted (iptables)",
        "port-restricted (port-restricted-map)",
    ]
    assert [one.title for one in candidates(["open"], "all")] == ["open"]
    assert "symmetric-sequential (iptables)" not in [one.title for one in candidates(rules="iptables")]
    with pytest.raises(ValueError, match="the simulator can"):
        candidates(["symmetric-sequential"], "iptables")


def test_without_root_the_laboratory_starts_itself_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv(privilege.INSIDE, raising=False)
    monkeypatch.setattr("shutil.which", lambda _name: "/usr/bin/unshare")
    assert privilege.needed()
    command = privilege.command(["gate", "--json"])
    assert command[:3] == ["unshare", "--user", "--map-root-user"]
    assert command[-4:] == ["-m", "lab", "gate", "--json"]
    monkeypatch.setenv(privilege.INSIDE, "1")
    assert not privilege.needed()
