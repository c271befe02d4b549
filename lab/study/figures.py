"""Percentiles, and how a study is told: a table for eyes, plain values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from lab.matrix.expected import Verdict
from lab.matrix.result import percentile
from lab.study.bout import Trial

SCHEMA: Final = 1
"""Version of the JSON documents: raised when a key changes its meaning or goes away."""

MILLISECONDS: Final = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for one figure; times in seconds."""

    figure: str
    """Either p50, p95, p99 or packets."""
    limit: float

    def met(self, row: Row) -> bool:
        """Tell whether a row keeps to it."""
        found = row.packets if self.figure == "packets" else row.took(int(self.figure[1:]))
        return found is not None and found <= self.limit

    def __str__(self) -> str:
        if self.figure == "packets":
            return f"{self.limit:g} packets"
        return f"{self.figure} {self.limit * MILLISECONDS:.0f} ms"


@dataclass(frozen=True, slots=True)
class Row:
    """All trials of one strategy at one thing."""

    case: str
    strategy: str
    trials: Sequence[Trial]
    targets: Sequence[Target] = ()

    @property
    def direct(self) -> int:
        """Count the trials that became direct."""
        return sum(trial.verdict is Verdict.DIRECT for trial in self.trials)

    def took(self, percent: int) -> float | None:
        """Return a percentile of the seconds until direct, over those that became so."""
        found = [trial.took for trial in self.trials if trial.took is not None]
        return percentile(found, percent) if found else None

    @property
    def packets(self) -> float | None:
        """Return the middle number of datagrams that a success took, of both ends together."""
        found = [trial.packets for trial in self.trials if trial.verdict is Verdict.DIRECT]
        return percentile(found, 50) if found else None

    @property
    def missed(self) -> list[Target]:
        """Return the targets that are not kept."""
        return [target for target in self.targets if not target.met(self)]

    def as_json(self) -> dict[str, Any]:
        """Return the row as plain values."""
        return {
            "case": self.case,
            "strategy": self.strategy,
            "runs": len(self.trials),
            **{str(one): sum(trial.verdict is one for trial in self.trials) for one in Verdict},
            **{f"p{percent}_ms": _milliseconds(self.took(percent)) for percent in (50, 95, 99)},
            "packets_per_success": self.packets,
            "targets": [{"figure": one.figure, "limit": one.limit, "met": one.met(self)} for one in self.targets],
            "took_ms": [_milliseconds(trial.took) for trial in self.trials],
            "packets": [trial.packets for trial in self.trials],
        }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * MILLISECONDS, 1)


def shown(title: str, rows: Sequence[Row]) -> Table:
    """Return a table of rows, with targets beside what was measured."""
    made = Table(title=title, title_justify="left", expand=False)
    for name in ("", "strategy"):
        made.add_column(name)
    for name in ("direct", "p50 ms", "p95 ms", "p99 ms", "packets"):
        made.add_column(name, justify="right")
    made.add_column("target")
    for row in rows:
        times = (row.took(percent) for percent in (50, 95, 99))
        made.add_row(
            row.case,
            row.strategy,
            f"{row.direct}/{len(row.trials)}",
            *("–" if time is None else f"{time * MILLISECONDS:.0f}" for time in times),
            "–" if row.packets is None else f"{row.packets:g}",
            _targets(row),
        )
    return made


def _targets(row: Row) -> Text:
    found = Text()
    for target in row.targets:
        met = target.met(row)
        found.append(("; " if found else "") + str(target) + (" met" if met else " missed"), "green" if met else "red")
    return found


def document(study: str, backend: str, seed: int, again: str, rows: Sequence[Row], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever JSON can say
    """Return a study as plain values."""
    return {
        "schema": SCHEMA,
        "report": "study",
        "study": study,
        "backend": backend,
        "seed": seed,
        "again": again,
        **more,
        "rows": [row.as_json() for row in rows],
    }
