"""The matrix as a grid for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.table import Table
from rich.text import Text

from lab.matrix.expected import Verdict
from lab.matrix.result import CellResult, spread

COLOURS: Final = {Verdict.DIRECT: "green", Verdict.RELAY: "yellow", Verdict.FAIL: "blue"}


def grid(cells: Sequence[CellResult]) -> Table:
    """Return a row for each client's NAT and a column for each server's."""
    made = Table(title="client (rows) and server (columns)", title_justify="left", expand=False, show_lines=True)
    made.add_column("", overflow="fold")
    servers = list(dict.fromkeys(cell.server for cell in cells))
    for name in servers:
        made.add_column(name, justify="center", overflow="fold")
    found = {(cell.client, cell.server): cell for cell in cells}
    for client in dict.fromkeys(cell.client for cell in cells):
        made.add_row(client, *(_shown(found.get((client, server))) for server in servers))
    return made


def _shown(cell: CellResult | None) -> Text:
    if cell is None:
        return Text("–")
    if cell.unexpected:
        return Text(cell.met, "bold red")
    middle = spread(cell.runs, lambda run: run.direct_after)["p50"]
    took = "" if middle is None else f"\n{middle:.1f} s"
    return Text(f"{cell.verdict}{took}", COLOURS[cell.verdict])
