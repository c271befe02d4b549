"""What is expected of a pair follows from what the two NATs do, whatever they are called."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from lab.matrix.expected import (
    NAMES,
    SECOND,
    Foresight,
    Table,
    Verdict,
    because,
    expected,
    foresight,
    guessed,
    guesses,
    table,
)
from lab.matrix.simulated import Trial, tried
from lab.model.nat import Allocation, Assignment, Dependence, Nat, Traffic
from lab.model.presets import PRESETS, preset

EI = Dependence.ENDPOINT_INDEPENDENT
APD = Dependence.ADDRESS_AND_PORT_DEPENDENT
COUNTS = Allocation(Assignment.SEQUENTIAL, 40_000, 40_511)
ROLLS = Allocation(Assignment.RANDOM)


@pytest.mark.parametrize(
    ("layers", "found"),
    [
        ((), Foresight.KNOWN),
        ((Nat(EI, APD),), Foresight.KNOWN),
        ((Nat(EI, APD, ROLLS),), Foresight.KNOWN),
        ((Nat(APD, APD),), Foresight.KNOWN),
        ((Nat(APD, EI, ROLLS),), Foresight.KNOWN),
        ((Nat(APD, APD, COUNTS),), Foresight.COUNTED),
        ((Nat(EI, APD), Nat(APD, APD, COUNTS)), Foresight.COUNTED),
        ((Nat(APD, APD, ROLLS),), Foresight.HIDDEN),
        ((Nat(APD, APD, COUNTS), Nat(APD, APD, ROLLS)), Foresight.HIDDEN),
        ((Nat(APD, EI, ROLLS), Nat(EI, APD)), Foresight.HIDDEN),
    ],
)
def test_how_well_a_port_is_known(layers: tuple[Nat, ...], found: Foresight) -> None:
    assert foresight(layers) is found


def test_who_begins_does_not_matter() -> None:
    pairs = list(itertools.product(PRESETS, PRESETS))
    assert all(expected(*pair) is expected(*reversed(pair)) for pair in pairs)
    assert all(guessed(*pair) is guessed(*reversed(pair)) for pair in pairs)


def test_the_tables_have_each_pair_once() -> None:
    main, second, both = (table(one) for one in Table)
    assert len(main) == len(NAMES) ** 2 == 49
    assert set(main) | set(second) == set(both)
    assert len(main) + len(second) == len(both) == (len(NAMES) + len(SECOND)) ** 2


@pytest.mark.parametrize(
    ("client", "server", "guess"),
    [
        ("symmetric-random", "port-restricted", True),
        ("port-restricted", "symmetric-random", True),
        ("symmetric-sequential", "port-restricted", True),
        ("port-restricted", "symmetric-sequential", False),
        ("symmetric-sequential", "symmetric-sequential", True),
        ("symmetric-random", "address-restricted", False),
        ("address-restricted", "symmetric-random", False),
        ("symmetric-random", "symmetric-random", False),
        ("open", "open", False),
    ],
)
def test_a_server_guesses_where_a_changing_port_meets_a_closed_filter(client: str, server: str, *, guess: bool) -> None:
    assert guesses(client, server) is guess


@pytest.mark.parametrize("other", sorted(set(PRESETS) - set(NAMES) - set(SECOND)))
def test_the_rule_holds_for_presets_that_are_in_no_table(other: str) -> None:
    pairs = [pair for name in NAMES for pair in ((other, name), (name, other))]
    found = {pair: tried(Trial(*pair, seed=1)) for pair in pairs}
    assert {pair: run.verdict for pair, run in found.items()} == {pair: expected(*pair) for pair in pairs}
    assert all(run.sound for run in found.values())


def test_udp_that_is_blocked_leaves_the_relay_and_without_tcp_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert expected("udp-blocked", "udp-blocked-443") is Verdict.RELAY
    assert because("udp-blocked", "open") != because("symmetric-random", "symmetric-random")
    mute = replace(preset("udp-blocked").layers[0], traffic=Traffic(udp=False, tcp_ports=(25,)))
    presets = {"mute": replace(preset("udp-blocked"), layers=(mute,)), "open": preset("open")}
    monkeypatch.setattr("lab.matrix.expected.preset", presets.__getitem__)
    assert expected("open", "mute") is expected("mute", "open") is Verdict.FAIL
    assert "TCP" in because("mute", "open")


def test_a_verdict_is_no_matter_of_names() -> None:
    hard = [name for name in PRESETS if foresight(preset(name).layers) is Foresight.HIDDEN]
    assert {expected(*pair) for pair in itertools.product(hard, hard)} == {Verdict.RELAY}
