"""What the matrix found, and how it is told: a grid for eyes, plain values for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from lab.matrix.expected import Verdict, because, expected

SCHEMA: Final = 1
"""Version of the JSON document: raised when a key changes its meaning or goes away."""

COLOURS: Final = {Verdict.DIRECT: "green", Verdict.RELAY: "yellow", Verdict.FAIL: "blue"}


@dataclass(frozen=True, slots=True)
class CellResult:
    """What became of one session; `client` and `server` are the NATs in front of the two."""

    client: str
    server: str
    verdict: Verdict
    reason: str
    """Why the path is what it is, in the words of the end that knows."""
    opened_after: float | None = None
    """Seconds from the first packet until the session was up."""
    direct_after: float | None = None
    """Seconds from then until it was direct."""
    broken: bool = False
    """True: a program failed otherwise than for want of a path, so that the verdict says nothing."""

    @property
    def expected(self) -> Verdict:
        """Return what it had to be."""
        return expected(self.client, self.server)

    @property
    def unexpected(self) -> bool:
        """Tell whether it is something else, be it better or worse, or says nothing."""
        return self.broken or self.verdict is not self.expected

    @property
    def because(self) -> str:
        """Say why no more than the expected verdict is expected."""
        return because(self.client, self.server)

    def as_json(self, backend: str) -> dict[str, Any]:
        """Return the cell as plain values."""
        pair = (self.client, self.server)
        return {
            "client": self.client,
            "server": self.server,
            "verdict": str(self.verdict),
            "expected": str(self.expected),
            "because": self.because,
            "unexpected": self.unexpected,
            "broken": self.broken,
            "reason": self.reason,
            "opened_after_seconds": _rounded(self.opened_after),
            "direct_after_seconds": _rounded(self.direct_after),
            "again": f"python -m lab matrix --backend {backend} --nat {','.join(dict.fromkeys(pair))}",
        }


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells of one backend."""

    backend: str
    cells: tuple[CellResult, ...]
    seconds: float = 0.0

    @property
    def unexpected(self) -> tuple[CellResult, ...]:
        """Return the cells that are not as they should be."""
        return tuple(cell for cell in self.cells if cell.unexpected)

    def count(self, verdict: Verdict) -> int:
        """Count the cells of a verdict."""
        return sum(cell.verdict is verdict for cell in self.cells)

    def as_json(self) -> dict[str, Any]:
        """Return the matrix as plain values."""
        return {
            "schema": SCHEMA,
            "report": "matrix",
            "backend": self.backend,
            "seconds": round(self.seconds, 2),
            "summary": {
                "cells": len(self.cells),
                "unexpected": len(self.unexpected),
                **{str(verdict): self.count(verdict) for verdict in Verdict},
            },
            "cells": [cell.as_json(self.backend) for cell in self.cells],
        }

    def summary(self) -> str:
        """Return the last line."""
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in Verdict)
        told = f"{len(self.cells)} cells of {self.backend} in {self.seconds:.1f} s"
        return f"{told}: {counts}; {len(self.unexpected)} unexpected"


def grid(cells: Sequence[CellResult]) -> Table:
    """Return a row for each client's NAT and a column for each server's."""
    made = Table(title="client (rows) and server (columns)", title_justify="left", expand=False, show_lines=True)
    made.add_column("")
    servers = list(dict.fromkeys(cell.server for cell in cells))
    for name in servers:
        made.add_column(name, justify="center")
    found = {(cell.client, cell.server): cell for cell in cells}
    for client in dict.fromkeys(cell.client for cell in cells):
        made.add_row(client, *(_shown(found.get((client, server))) for server in servers))
    return made


def _shown(cell: CellResult | None) -> Text:
    if cell is None:
        return Text("–")
    if cell.unexpected:
        return Text("broken" if cell.broken else f"{cell.verdict}, not {cell.expected}", "bold red")
    took = "" if cell.direct_after is None else f"\n{cell.direct_after:.1f} s"
    return Text(f"{cell.verdict}{took}", COLOURS[cell.verdict])


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
