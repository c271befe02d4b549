"""All pairs of NATs on the simulated internet, each with the verdict that is expected of it: no better, no worse."""

from __future__ import annotations

from itertools import product
from statistics import median

import pytest

from clawchat.nat.reasons import REASONS, Reason
from lab.matrix.expected import NAMES, Verdict, expected
from lab.matrix.simulated import Trial, tried
from lab.sim.cell import Cell, Peer

RESTRICTED = ("port-restricted", "poisonable-home")
SEEDS = range(4)


@pytest.mark.parametrize(("client", "server"), list(product(NAMES, NAMES)))
def test_every_pair_has_the_verdict_that_is_possible(client: str, server: str) -> None:
    cells = [Cell(client, server, seed=seed).run() for seed in SEEDS]
    took = [cell.took for cell in cells if cell.verdict == "direct"]
    print(f"{client} x {server}: {cells[0].verdict}, median {median(took) if took else float('nan'):.3f} s")
    assert {cell.verdict for cell in cells} == {expected(client, server)}


@pytest.mark.parametrize(
    ("client", "server", "limit"),
    [
        ("port-restricted", "port-restricted", 0.2),
        ("poisonable-home", "poisonable-home", 0.2),
        ("address-restricted", "symmetric-random", 0.2),
        ("symmetric-random", "full-cone", 0.2),
        ("port-restricted", "symmetric-sequential", 0.6),
        ("symmetric-sequential", "symmetric-sequential", 1.0),
        ("port-restricted", "symmetric-random", 7.5),
        ("symmetric-random", "poisonable-home", 7.5),
        ("double", "cgnat", 0.2),
        ("poisonable-home", "symmetric-sequential", 0.6),
    ],
)
def test_a_direct_path_is_found_in_time(client: str, server: str, limit: float) -> None:
    cells = [Cell(client, server, seed=seed).run() for seed in SEEDS]
    assert all(cell.direct_both for cell in cells)
    assert max(cell.took for cell in cells) <= limit


@pytest.mark.parametrize(
    ("client", "server"),
    [pair for pair in product(NAMES, NAMES) if set(pair) != {"symmetric-random", "port-restricted"}],
)
def test_without_luck_a_direct_path_that_nobody_hopes_for_is_seen(
    client: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peer, "path_reason", Reason.BOTH_SYMMETRIC)
    monkeypatch.setattr("lab.matrix.simulated.expected", lambda *_: Verdict.RELAY)
    assert {tried(Trial(client, server, seed)).verdict for seed in (1, 2)} == {expected(client, server)}


@pytest.mark.parametrize("skew", [0.0, 0.05, 0.2, 1.0])
@pytest.mark.parametrize("depth", [True, False])
def test_gateways_that_early_packets_spoil_are_passed_whoever_begins_first(skew: float, *, depth: bool) -> None:
    for delay in (0.005, 0.02, 0.08):
        cell = Cell("poisonable-home", "poisonable-home", delay=delay, skew=skew, depth=depth).run()
        assert cell.verdict == "direct", (delay, skew, cell.reason)


def test_a_port_that_a_gateway_spoilt_is_left_for_a_spare_one() -> None:
    cell = Cell("poisonable-home", "poisonable-home", skew=0.2, depth=False).run()
    assert cell.client.session.path.port >= 1000


@pytest.mark.parametrize(
    ("client", "server"), [("port-restricted", "symmetric-sequential"), *product(RESTRICTED, RESTRICTED)]
)
def test_loss_delays_but_does_not_prevent(client: str, server: str) -> None:
    cells = [Cell(client, server, seed=seed, loss=0.05).run() for seed in SEEDS]
    assert {cell.verdict for cell in cells} == {"direct"}


@pytest.mark.parametrize(
    ("client", "server", "reason"),
    [
        ("open", "open", Reason.AT_ONCE),
        ("port-restricted", "port-restricted", Reason.PUNCHED),
        ("port-restricted", "symmetric-sequential", Reason.GUESSED),
        ("symmetric-random", "symmetric-random", Reason.BOTH_SYMMETRIC),
        ("symmetric-sequential", "symmetric-random", Reason.BOTH_SYMMETRIC),
        ("udp-blocked", "open", Reason.UDP_BLOCKED),
        ("open", "udp-blocked", Reason.PEER_BLOCKED),
    ],
)
def test_a_session_says_why_it_is_direct_or_not(client: str, server: str, reason: Reason) -> None:
    assert Cell(client, server).run(wait=4.0).reason is reason


def test_every_reason_has_a_meaning() -> None:
    assert set(REASONS) == set(Reason)


def test_a_second_session_of_a_pair_begins_with_what_won() -> None:
    cell = Cell("port-restricted", "symmetric-sequential").run()
    memory = cell.client.party.endpoint.scout.memory
    assert [str(move) for move in memory.winners.values()] == ["walk"]
