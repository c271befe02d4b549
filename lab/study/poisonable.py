"""Gateways that take a peer's early packet for their own: who gets through, whoever begins first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.strategies.strategy import Strategy
from lab.study import simulated, spaces
from lab.study.bout import Bout, both_late
from lab.study.figures import MILLISECONDS, Row

HOME: Final = "poisonable-home"
SKEWS: Final = (0.0, 0.05, 0.2, 1.0)
"""Seconds by which one end begins after the other; the way from one to the other takes 0.04."""

SIDES: Final = (Strategy.CLAWCHAT, Strategy.PLAIN)
LANES: Final = 4


def study(backend: str, runs: int, *, seed: int, blind: bool, sides: Sequence[Strategy] = SIDES) -> list[Row]:
    """Let all strategies try each skew so often, one after the other behind the same gateways."""
    groups = [
        [Bout(side, HOME, HOME, seed + number, late=both_late(skew, number), blind=blind) for side in sides]
        for skew in SKEWS
        for number in range(runs)
    ]
    if backend == "sim":
        found = [[simulated.fight(bout) for bout in group] for group in groups]
    else:
        found = spaces.fight_all(groups, lanes=LANES, seed=seed)
    rows = []
    for place, skew in enumerate(SKEWS):
        for number, side in enumerate(sides):
            trials = [trials[number] for trials in found[place * runs : (place + 1) * runs]]
            rows.append(Row(f"skew {skew * MILLISECONDS:.0f} ms", str(side), trials))
    return rows


def summary(rows: Sequence[Row]) -> str:
    """Return the last line."""
    sides = dict.fromkeys(row.strategy for row in rows)
    told = []
    for side in sides:
        own = [row for row in rows if row.strategy == side]
        told.append(f"{side} direct in {sum(row.direct for row in own)} of {sum(len(row.trials) for row in own)}")
    return "; ".join(told)
