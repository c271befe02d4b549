"""Thousands of pairs of ends drawn from a population: which share becomes direct, which stays on a relay."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from rich.table import Table

from lab.matrix.expected import Foresight, Verdict, foresight, passes_udp
from lab.model.presets import preset
from lab.strategies.strategy import Strategy
from lab.study import simulated
from lab.study.bout import Bout, both_late
from lab.study.figures import SCHEMA
from lab.study.population import Mix

WIDEST_SKEW: Final = 0.1
"""Seconds: the two ends begin up to so much apart, as messages and programs take their time."""

CHUNK: Final = 50

CLASSES: Final = {Foresight.KNOWN: "known", Foresight.COUNTED: "counting", Foresight.HIDDEN: "random"}
BLOCKED: Final = "no UDP"


def pair_class(client: str, server: str) -> str:
    """Name the kind of a pair: how well each end's port can be foreseen, in no order."""
    return " × ".join(sorted(_kind(name) for name in (client, server)))


def _kind(name: str) -> str:
    layers = preset(name).layers
    return CLASSES[foresight(layers)] if passes_udp(layers) else BLOCKED


@dataclass(frozen=True, slots=True)
class Sweep:
    """What became of all pairs; ``counts`` is by strategy, class of pair and verdict."""

    mix: Mix
    pairs: int
    seed: int
    strategies: Sequence[Strategy]
    counts: Counter[tuple[str, str, Verdict]]
    failed: Sequence[tuple[str, str, int]]
    """Our own pairs that failed, with their seeds."""
    seconds: float

    def share(self, strategy: str, verdict: Verdict, kind: str | None = None) -> float:
        """Return the percentage of pairs, or of those of a kind, that a strategy brought there."""
        own = {key: number for key, number in self.counts.items() if key[0] == strategy and kind in {None, key[1]}}
        return 100 * sum(number for key, number in own.items() if key[2] is verdict) / max(1, sum(own.values()))

    @property
    def kinds(self) -> list[tuple[str, int]]:
        """List the classes of pairs with their numbers, the largest first."""
        first = str(self.strategies[0])
        found: Counter[str] = Counter()
        for (strategy, kind, _), number in self.counts.items():
            if strategy == first:
                found[kind] += number
        return found.most_common()

    @property
    def again(self) -> str:
        """Return the command that repeats it."""
        return f"python -m lab sweep --mix {self.mix.name} --pairs {self.pairs} --seed {self.seed}"

    def as_json(self) -> dict[str, Any]:
        """Return the sweep as plain values."""
        return {
            "schema": SCHEMA,
            "report": "sweep",
            "mix": self.mix.name,
            "source": self.mix.source,
            "source_says": self.mix.says,
            "our_judgement": self.mix.judged,
            "pairs": self.pairs,
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "again": self.again,
            "summary": {str(side): self._shares(str(side)) for side in self.strategies},
            "failed": [{"client": client, "server": server, "seed": seed} for client, server, seed in self.failed],
            "classes": [
                {
                    "class": kind,
                    "pairs": number,
                    **{str(side): self._shares(str(side), kind) for side in self.strategies},
                }
                for kind, number in self.kinds
            ],
        }

    def _shares(self, strategy: str, kind: str | None = None) -> dict[str, float]:
        return {str(verdict): round(self.share(strategy, verdict, kind), 2) for verdict in Verdict}

    def table(self) -> Table:
        """Return the share of direct pairs by class and strategy."""
        made = Table(title=f"{self.pairs} pairs of {self.mix.name}, percent direct", title_justify="left")
        made.add_column("ports of the two ends")
        for name in ("pairs", *map(str, self.strategies)):
            made.add_column(name, justify="right")
        for kind, number in self.kinds:
            shares = (f"{self.share(str(side), Verdict.DIRECT, kind):.1f}" for side in self.strategies)
            made.add_row(kind, str(number), *shares)
        made.add_section()
        for verdict in Verdict:
            shares = (f"{self.share(str(side), verdict):.2f}" for side in self.strategies)
            made.add_row(f"all: {verdict}", "", *shares)
        return made


def sweep(mix: Mix, pairs: int, *, seed: int, strategies: Sequence[Strategy] = tuple(Strategy)) -> Sweep:
    """Let every strategy try the same pairs, on all processors."""
    began = time.monotonic()
    drawn = [_draw(mix, seed, number) for number in range(pairs)]
    bouts = [bout._replace(strategy=side) for bout in drawn for side in strategies]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        trials = list(pool.map(simulated.fight, bouts, chunksize=CHUNK))
    counts: Counter[tuple[str, str, Verdict]] = Counter()
    failed: list[tuple[str, str, int]] = []
    for bout, trial in zip(bouts, trials, strict=True):
        counts[str(bout.strategy), pair_class(bout.client, bout.server), trial.verdict] += 1
        if trial.verdict is Verdict.FAIL and not bout.strategy.rival:
            failed.append((bout.client, bout.server, bout.seed))
    return Sweep(mix, pairs, seed, strategies, counts, failed, time.monotonic() - began)


def _draw(mix: Mix, seed: int, number: int) -> Bout:
    random = Random(f"{seed}:{number}")
    client, server = mix.draw(random), mix.draw(random)
    late = both_late(random.uniform(0, WIDEST_SKEW), number)
    return Bout(Strategy.CLAWCHAT, client, server, number, late=late)
