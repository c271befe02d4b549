"""One run for several NATs: exactly what each of them would have seen, and only while they agree."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest

from clawchat.values.address import Address
from lab.matrix import simulated
from lab.matrix.expected import Table, table
from lab.matrix.simulated import Trial, tried, try_simulated
from lab.model.presets import PRESETS, preset
from lab.sim.cell import Cell
from lab.sim.nat import SimulatedNat
from lab.sim.twins import Twins, twins

CONES = ("full-cone", "address-restricted", "port-restricted")
INSIDE, OUTSIDE = Address("10.1.0.2", 50_001), "203.0.113.1"
PEER, NEIGHBOUR, STRANGER = Address("203.0.113.2", 7), Address("203.0.113.2", 8), Address("203.0.113.3", 7)


def beside(name: str) -> Twins:
    """One cone that decides, and the others beside it."""
    (nat,) = preset(name).layers
    return Twins(nat, OUTSIDE, lambda: Random(1), twins(name, CONES))


@pytest.mark.parametrize(("which", "seed"), [(Table.ALL, 1), (Table.MAIN, 2)])
def test_a_shared_run_is_what_each_of_its_pairs_has_alone(which: Table, seed: int) -> None:
    pairs = table(which)
    together = try_simulated(pairs, runs=seed)
    alone = [tried(Trial(*pair, seed)) for pair in pairs]
    assert [cell.runs[-1] for cell in together.cells] == alone


def test_a_third_of_the_runs_of_the_main_table_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    trials: list[Trial] = []

    def counted(client: str, server: str, *, seed: int, beside: tuple[Iterable[str], Iterable[str]]) -> Cell:
        trials.append(Trial(client, server, seed))
        return Cell(client, server, seed=seed, beside=beside)

    monkeypatch.setattr(simulated, "Cell", counted)
    pairs = table(Table.MAIN)
    assert len(try_simulated(pairs).cells) == len(pairs) == 49
    assert len(set(trials)) == len(trials) == 35


def test_a_cell_alone_stands_for_itself() -> None:
    assert Cell("full-cone", "port-restricted").run().same == [("full-cone", "port-restricted")]


def test_a_cell_stands_for_the_nats_that_would_have_let_the_same_packets_through() -> None:
    cell = Cell("full-cone", "full-cone", beside=(CONES, CONES)).run()
    assert cell.same == [(client, "full-cone") for client in CONES]


@pytest.mark.parametrize(
    ("first", "source", "left"),
    [
        ("full-cone", PEER, {"address-restricted", "port-restricted"}),
        ("full-cone", NEIGHBOUR, {"address-restricted"}),
        ("full-cone", STRANGER, set()),
        ("address-restricted", NEIGHBOUR, {"full-cone"}),
        ("address-restricted", STRANGER, {"port-restricted"}),
        ("port-restricted", NEIGHBOUR, set()),
        ("port-restricted", STRANGER, {"address-restricted"}),
    ],
)
def test_nats_part_at_the_first_packet_that_they_treat_otherwise(first: str, source: Address, left: set[str]) -> None:
    nat = beside(first)
    (alone,) = (SimulatedNat(one, OUTSIDE, Random(1)) for one in preset(first).layers)
    outside = nat.outbound(INSIDE, PEER, 0.0)
    assert outside == alone.outbound(INSIDE, PEER, 0.0)
    assert outside is not None
    assert set(nat.others) == set(CONES) - {first}
    assert nat.inbound(source, outside, 0.1) == alone.inbound(source, outside, 0.1)
    assert set(nat.others) == left


def test_those_that_agree_forget_together() -> None:
    nat = beside("full-cone")
    outside = nat.outbound(INSIDE, PEER, 0.0)
    assert outside is not None
    nat.forget()
    assert nat.inbound(STRANGER, outside, 0.1) is None
    assert len(nat.others) == 2


def test_only_what_a_nat_decides_by_itself_may_differ() -> None:
    found = {name: set(twins(name, PRESETS)) for name in PRESETS}
    assert {name: others for name, others in found.items() if name in CONES} == {
        name: set(CONES) - {name} for name in CONES
    }
    for name in (
        "open",
        "symmetric-sequential",
        "symmetric-random",
        "udp-blocked",
        "poisonable-home",
        "cgnat",
        "double",
    ):
        assert found[name] == set(), name
    assert all(name in found[other] for name, others in found.items() for other in others)
