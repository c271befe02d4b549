"""How long a direct path takes once both ends know of each other, and how many packets, against our targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from lab.strategies.strategy import Strategy
from lab.study import simulated, spaces
from lab.study.bout import ROUND_TRIP, Bout
from lab.study.figures import Row, Target

SLACK: Final = 0.02
"""Seconds that timers and a busy machine may add to a round trip in namespaces; virtual time adds nothing."""


class Case(NamedTuple):
    """Two NATs, the share of datagrams lost between the ends, and what we aim at."""

    name: str
    client: str
    server: str
    loss: float
    targets: tuple[Target, ...]
    rivals: tuple[Strategy, ...]
    """Those that have a way for it; what else they do is the matrix's to tell."""


CONES: Final = ("port-restricted", "port-restricted")
PLAIN: Final = (Strategy.PLAIN,)
CASES: Final = (
    Case("cone × cone", *CONES, 0.0, (Target("p50", ROUND_TRIP), Target("packets", 12)), PLAIN),
    Case("cone × cone, 5 % loss", *CONES, 0.05, (Target("p95", ROUND_TRIP + 0.06),), PLAIN),
    Case("full cone × random symmetric", "full-cone", "symmetric-random", 0.0, (Target("p50", ROUND_TRIP),), PLAIN),
    Case("random symmetric × full cone", "symmetric-random", "full-cone", 0.0, (Target("p50", ROUND_TRIP),), PLAIN),
    Case(
        "port-restricted × random symmetric",
        "port-restricted",
        "symmetric-random",
        0.0,
        (Target("p50", 0.7), Target("p99", 4.6), Target("packets", 2000)),
        (Strategy.BIRTHDAY, Strategy.PLAIN),
    ),
    Case(
        "sequential × sequential",
        "symmetric-sequential",
        "symmetric-sequential",
        0.0,
        (Target("p50", 1.0),),
        (Strategy.BIRTHDAY, Strategy.PLAIN),
    ),
)
LANES: Final = 3
HOPELESS_RUNS: Final = 5
"""How often a rival tries what the matrix says it can't; each try takes its whole patience."""


def study(backend: str, runs: int, *, seed: int, cases: Sequence[Case] = CASES) -> list[Row]:
    """Measure ours and the rivals beside it, in turns."""
    return [row for case in cases for row in _measure(case, backend, runs, seed)]


def _measure(case: Case, backend: str, runs: int, seed: int) -> list[Row]:
    from lab.matrix.expected import Verdict
    from lab.strategies.expected import expected

    sides = (Strategy.CLAWCHAT, *case.rivals)
    hopeful = {side: expected(side, case.client, case.server) is Verdict.DIRECT for side in sides}
    groups = [
        [
            Bout(side, case.client, case.server, seed + number, case.loss)
            for side in sides
            if hopeful[side] or number < HOPELESS_RUNS
        ]
        for number in range(runs)
    ]
    if backend == "sim":
        found = simulated.fight_all([bout for group in groups for bout in group])
    else:
        fought = spaces.fight_all(groups, lanes=LANES, seed=seed)
        found = [trial for trials in fought for trial in trials]
    bouts = [bout for group in groups for bout in group]
    slack = 0.0 if backend == "sim" else SLACK
    rows = []
    for side in sides:
        trials = [trial for bout, trial in zip(bouts, found, strict=True) if bout.strategy is side]
        targets = () if side.rival else tuple(_eased(target, slack) for target in case.targets)
        rows.append(Row(case.name, str(side), trials, targets))
    return rows


def _eased(target: Target, slack: float) -> Target:
    """Give a time some slack, and a little more than none, since virtual times are sums of fractions."""
    return target if target.figure == "packets" else Target(target.figure, target.limit + slack + 1e-6)
