"""How figures reach a reader: a table for eyes, a JSON document for programs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lab.bench.figures import METRICS, Sample, median, median_difference, median_ratio

SCHEMA: Final = 1
"""Version of the JSON document: raised when a key changes its meaning or goes away."""

ECHO_BASELINE: Final = "udp-echo"
PLAIN_WIDTH: Final = 132
"""Columns of a table that does not go to a terminal."""

NOTHING: Final = "–"


@dataclass(slots=True)
class Row:
    """What became of one peer in one set-up."""

    name: str
    what: str
    version: str | None = None
    samples: list[Sample] = field(default_factory=list)
    """One a round; a peer that fails gets no later rounds, so that equal places are the same round in all rows."""
    skipped: str | None = None
    failed: str | None = None

    @property
    def status(self) -> str:
        """Return `measured`, `skipped` or `failed`."""
        return "skipped" if self.skipped else "failed" if self.failed else "measured"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows of one set-up."""

    setup: str
    rows: Sequence[Row]

    @property
    def reference(self) -> Row | None:
        """Return the first row with a goodput: the others are compared with it."""
        return next((row for row in self.rows if median(row.samples, "goodput_gbit_s")), None)

    @property
    def baseline(self) -> Row | None:
        """Return the row of the bare echo, when it was measured."""
        return next((row for row in self.rows if row.name == ECHO_BASELINE and row.samples), None)

    def ratio(self, row: Row) -> float | None:
        """Return a row's goodput as a multiple of the reference's."""
        return median_ratio(row.samples, self.reference.samples, "goodput_gbit_s") if self.reference else None

    def above_echo(self, row: Row) -> float | None:
        """Return by how many µs a row's median round trip is longer than the bare echo's."""
        return median_difference(row.samples, self.baseline.samples, "rtt_p50_us") if self.baseline else None


def machine() -> dict[str, Any]:
    """Return what a reader must know of the machine to judge a figure."""
    model = NOTHING
    if sys.platform == "linux":
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), NOTHING)
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cryptography": importlib.metadata.version("cryptography"),
    }


def document(benchmark: str, plan: dict[str, Any], results: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON document of any benchmark: who measured what, where, and the results."""
    return {"schema": SCHEMA, "benchmark": benchmark, "machine": machine(), "plan": plan, **results}


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return one set-up's rows as plain values: medians, every round, and how the row compares."""
    reference = comparison.reference
    return {
        "setup": comparison.setup,
        "reference": reference.name if reference else None,
        "peers": [
            {
                "name": row.name,
                "what": row.what,
                "version": row.version,
                "status": row.status,
                "reason": row.skipped or row.failed,
                "median": {metric: median(row.samples, metric) for metric in METRICS},
                "goodput_ratio": comparison.ratio(row),
                "rtt_above_udp_echo_us": comparison.above_echo(row),
                "rounds": [asdict(sample) for sample in row.samples],
            }
            for row in comparison.rows
        ],
    }


def number(value: float | None, digits: int = 2, *, plus: bool = False) -> str:
    """Return a figure as text, a dash when there is none."""
    if value is None:
        return NOTHING
    return f"{value:{'+' if plus else ''}.{digits}f}"


def _cells(comparison: Comparison, row: Row) -> dict[str, str]:
    """Return a row's figures as text, by the titles of their columns."""
    reference = comparison.reference
    middle = {metric: median(row.samples, metric) for metric in METRICS}
    trips = (number(middle["rtt_p50_us"], 0), number(middle["rtt_p99_us"], 0))
    return {
        "Gbit/s": number(middle["goodput_gbit_s"]),
        f"× {reference.name if reference else NOTHING}": number(comparison.ratio(row)),
        "CPU s/GiB": number(middle["cpu_s_per_gib"], 1),
        "RTT p50/p99 µs": "/".join(trips) if row.samples and NOTHING not in trips else NOTHING,
        f"p50 over {ECHO_BASELINE}": number(comparison.above_echo(row), 0, plus=True),
        "set-up ms": number(middle["setup_ms"], 1),
    }


def comparison_table(comparison: Comparison) -> Table:
    """Return one set-up's rows as a table, skipped and failed peers with their reasons; empty columns stay away."""
    cells = [_cells(comparison, row) for row in comparison.rows]
    titles = [title for title in cells[0] if any(one[title] != NOTHING for one in cells)] if cells else []
    table = Table(title=f"set-up: {comparison.setup}", title_justify="left", expand=False)
    table.add_column("peer", no_wrap=True)
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("what was measured")
    for row, one in zip(comparison.rows, cells, strict=True):
        what = row.what if not row.version else f"{row.what} ({row.version})"
        if reason := row.skipped or row.failed:
            what = f"{row.status}: {reason}"
        table.add_row(row.name, *(one[title] for title in titles), what)
    return table


def console() -> Console:
    """Return where tables go: standard output, wide enough when it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, markup=False, highlight=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of a benchmark that compares nothing."""

    name: str
    value: float | None
    unit: str
    note: str


def readings_json(readings: Sequence[Reading]) -> list[dict[str, Any]]:
    """Return readings as plain values."""
    return [asdict(reading) for reading in readings]


def readings_table(title: str, readings: Sequence[Reading]) -> Table:
    """Return readings as a table."""
    table = Table(title=title, title_justify="left", expand=False)
    table.add_column("figure", no_wrap=True)
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("what was measured")
    for reading in readings:
        digits = 0 if (reading.value or 0) >= 1000 else 1
        table.add_row(reading.name, number(reading.value, digits), reading.unit, reading.note)
    return table
