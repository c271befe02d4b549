"""Rivals in the laboratory: what plain probes and the birthday reach, and where early packets end them."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest
from click.testing import CliRunner

from clawchat.values.address import Address
from lab import cli
from lab.matrix.expected import Table, Verdict, table
from lab.matrix.rivals import try_simulated
from lab.sim.rivalry import Rivalry, network
from lab.strategies.messages import Kind, Message, decode, encode
from lab.strategies.rendezvous import Rendezvous
from lab.strategies.strategy import RIVALS, Strategy

HOME = "poisonable-home"
ONE_WAY = 0.04
HERE = Address("203.0.113.1", 5000)
THERE = Address("203.0.113.2", 6000)


def fought(strategy: Strategy, client: str, server: str, *, skew: float = 0.0, seed: int = 1) -> Rivalry:
    net = network(client, server, seed=seed, delay=ONE_WAY / 2)
    return Rivalry(net, strategy, seed=seed, late=(0.0, skew)).run()


@pytest.mark.parametrize("strategy", RIVALS)
def test_every_pair_has_the_verdict_that_was_measured(strategy: Strategy) -> None:
    found = try_simulated(table(Table.ALL), strategy)
    assert [(cell.client, cell.server, str(cell.verdict)) for cell in found.unexpected] == []


@pytest.mark.parametrize(
    ("skew", "verdict"), [(0.0, "direct"), (0.03, "direct"), (0.05, "relay"), (0.2, "relay"), (1.0, "relay")]
)
def test_full_probes_pass_poisonable_gateways_only_within_a_one_way_delay(skew: float, verdict: str) -> None:
    found = {str(fought(Strategy.PLAIN, HOME, HOME, skew=skew, seed=seed).outcome.verdict) for seed in range(5)}
    assert found == {verdict}


def test_plain_probes_take_one_round_trip() -> None:
    assert fought(Strategy.PLAIN, "port-restricted", "port-restricted").outcome.took == pytest.approx(2 * ONE_WAY)


def test_the_birthday_takes_as_long_as_was_published() -> None:
    found = [fought(Strategy.BIRTHDAY, "port-restricted", "symmetric-random", seed=seed).outcome for seed in range(60)]
    took = [outcome.took for outcome in found if outcome.took is not None]
    assert len(took) >= 59
    # Half of them in less than two seconds, says the source; sixty attempts are not a million.
    assert 1.0 < median(took) < 3.0


def test_an_end_that_sleeps_finds_what_came_meanwhile() -> None:
    assert fought(Strategy.PLAIN, "full-cone", "full-cone", skew=1.0).outcome.verdict is Verdict.DIRECT


def test_both_ends_are_told_to_begin_at_the_same_moment() -> None:
    host = Rendezvous()
    ours = Message(Kind.JOIN, room="r", role="client", addresses=(HERE,))
    theirs = Message(Kind.JOIN, room="r", role="server", addresses=(THERE,), changing=True)
    assert host.receive(encode(ours), HERE) == []
    told = {reply.to: decode(reply.data) for reply in host.receive(encode(theirs), THERE)}
    assert told[HERE] == Message(Kind.GO, room="r", addresses=(THERE,), changing=True)
    assert told[THERE] == Message(Kind.GO, room="r", addresses=(HERE,))
    # Who asks again is told alone.
    assert [reply.to for reply in host.receive(encode(ours), HERE)] == [HERE]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"kind": "else"}', b'{"kind": "go", "addresses": 7}', b"\xff"])
def test_what_is_no_message_is_nothing(data: bytes) -> None:
    assert decode(data) is None


def test_the_matrix_of_a_rival(tmp_path: Path) -> None:
    file = tmp_path / "matrix.json"
    words = ["matrix", "--backend", "sim", "--strategy", "plain", "--json", str(file)]
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 0, done.output
    found = json.loads(file.read_text())
    assert (found["by"], found["summary"]["relay"]) == ("plain", 8)
    assert "--strategy plain" in found["cells"][0]["again"]


@pytest.mark.netns
def test_a_rival_behind_real_nats() -> None:
    words = ["matrix", "--strategy", "plain", "--nat", "port-restricted,symmetric-random"]
    done = CliRunner().invoke(cli.main, words)
    assert done.exit_code == 0, done.output
    assert "1 direct, 3 relay, 0 fail; 0 unexpected" in done.output
