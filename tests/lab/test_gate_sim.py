"""The gate over the simulator: honest as it is, and red whenever anything else stands in a preset's place."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest

from lab.gate.endurance import LATE
from lab.gate.grounds.simulated import SimulatedGround
from lab.gate.probes import describe, fits
from lab.gate.suspects import Candidate, candidates
from lab.gate.trial import run_instantly, try_simulated
from lab.model.nat import Allocation, Assignment
from lab.model.presets import PRESETS

PAIRS = [(claimed, built) for claimed in PRESETS for built in PRESETS if claimed != built]


def test_every_preset_is_what_it_claims() -> None:
    report = try_simulated(candidates())
    assert [(verdict.title, verdict.lies) for verdict in report.verdicts if verdict.lies] == []
    assert [verdict.title for verdict in report.verdicts] == list(PRESETS)
    assert report.honest


@pytest.mark.parametrize("seed", range(5))
def test_chance_does_not_make_the_gate_red(seed: int) -> None:
    assert try_simulated(candidates(), seed=seed).honest


def test_nothing_else_passes_for_a_preset() -> None:
    tried = [Candidate(PRESETS[claimed], built=PRESETS[built].layers) for claimed, built in PAIRS]
    honest = [
        pair
        for start in range(0, len(tried), 40)
        for pair, verdict in zip(
            PAIRS[start : start + 40], try_simulated(tried[start : start + 40]).verdicts, strict=True
        )
        if verdict.honest
    ]
    assert honest == []


def test_the_report_says_what_was_claimed_and_met() -> None:
    swapped = Candidate(PRESETS["full-cone"], built=PRESETS["port-restricted"].layers)
    report = json.loads(json.dumps(try_simulated([swapped]).as_json()))
    assert (report["schema"], report["honest"]) == (1, False)
    (gateway,) = report["gateways"]
    filtering = next(one for one in gateway["findings"] if one["probe"] == "filtering")
    assert filtering == {
        "probe": "filtering",
        "by": "us",
        "claimed": "endpoint-independent",
        "observed": "address-and-port-dependent",
        "honest": False,
    }


@pytest.mark.parametrize(("stalls", "lies"), [(2, set()), (1000, {"unreplied", "assured", "renewal"})])
def test_a_moment_that_was_missed_is_waited_for_again(
    stalls: int, lies: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is busy wakes a probe too late; what it then meets is held against no gateway."""
    stalled = itertools.count()
    rest = SimulatedGround.rest

    async def late(ground: SimulatedGround, seconds: float) -> None:
        await rest(ground, seconds + (1.5 * LATE if seconds and next(stalled) < stalls else 0.0))

    monkeypatch.setattr(SimulatedGround, "rest", late)
    (verdict,) = try_simulated([Candidate(PRESETS["port-restricted"])]).verdicts
    assert {finding.probe for finding in verdict.lies} == lies
    assert all("busy machine" in finding.observed for finding in verdict.lies)


def test_a_gate_that_tried_nobody_is_not_honest() -> None:
    assert not try_simulated([]).honest


def test_a_probe_may_not_wait_in_virtual_time() -> None:
    async def waits() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited for something"):
        run_instantly(waits())


ROW = [(10_000 + place, 40_000 + place) for place in range(8)]
SPREAD = [
    (10_000 + place, port) for place, port in enumerate([60_000, 2_000, 31_000, 9_000, 45_000, 20_000, 7, 50_000])
]


@pytest.mark.parametrize(
    ("pairs", "allocation", "expected"),
    [
        ([(port, port) for port, _ in ROW], Allocation(), True),
        (ROW, Allocation(), False),
        (ROW, Allocation(Assignment.SEQUENTIAL, 40_000, 40_511), True),
        (ROW, Allocation(Assignment.SEQUENTIAL, 40_000, 40_511, step=2), False),
        (ROW[::-1], Allocation(Assignment.SEQUENTIAL, 40_000, 40_511), False),
        (ROW, Allocation(Assignment.SEQUENTIAL, 50_000, 50_511), False),
        ([*ROW[4:], (1, 40_000), (2, 40_001)], Allocation(Assignment.SEQUENTIAL, 40_000, 40_007), True),
        (ROW, Allocation(Assignment.RANDOM), False),
        (ROW, Allocation(Assignment.BLOCK, 40_000, 40_511), False),
        (SPREAD, Allocation(Assignment.RANDOM), False),
        (SPREAD[:6], Allocation(Assignment.RANDOM), True),
        (SPREAD[:6], Allocation(Assignment.REMAP, 2_000, 60_000), True),
        (SPREAD[:6], Allocation(Assignment.REMAP, 20_000, 29_999), False),
    ],
)
def test_ports_tell_their_allocation(pairs: list[tuple[int, int]], allocation: Allocation, *, expected: bool) -> None:
    assert fits(pairs, allocation) is expected


def test_unexpected_ports_are_described() -> None:
    assert describe([(1, 1), (2, 2)]) == "preserve"
    assert describe(ROW) == "steps of 1 from 40000"
    assert describe(SPREAD) == "ports between 7 and 60000"
