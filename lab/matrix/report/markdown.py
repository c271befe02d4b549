"""The matrix as Markdown, as it is pasted into a report of CI or an issue."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.matrix.expected import Verdict
from lab.matrix.result import CellResult, Matrix, spread

LETTERS: Final = {Verdict.DIRECT: "D", Verdict.RELAY: "R", Verdict.FAIL: "F"}
MISSING: Final = "–"
LEGEND: Final = (
    "Rows are clients, columns are servers; D direct (with the seconds that it took from the session's beginning), "
    "R relay, F fail; **bold** is not what was expected."
)


def markdown(matrix: Matrix) -> str:
    """Return the grid, what was not expected, and the times of every kind of cell."""
    parts = [
        f"# The matrix over {matrix.backend}",
        matrix.summary() + ".",
        "\n".join(_grid(matrix.cells)),
        LEGEND,
    ]
    if matrix.unexpected:
        parts += ["## Not expected", "\n".join(_line(cell, matrix.backend) for cell in matrix.unexpected)]
    return "\n\n".join(parts) + "\n"


def _grid(cells: Sequence[CellResult]) -> list[str]:
    servers = list(dict.fromkeys(cell.server for cell in cells))
    found = {(cell.client, cell.server): cell for cell in cells}
    rows = (
        [client, *(_shown(found.get((client, server))) for server in servers)]
        for client in dict.fromkeys(cell.client for cell in cells)
    )
    return [_row(["", *servers]), _row(["---", *[":---:"] * len(servers)]), *map(_row, rows)]


def _row(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"


def _shown(cell: CellResult | None) -> str:
    if cell is None:
        return MISSING
    middle = spread(cell.runs, lambda run: run.direct_after)["p50"]
    told = LETTERS[cell.verdict] + ("" if middle is None else f" {middle:.1f}")
    return f"**{told}**" if cell.unexpected else told


def _line(cell: CellResult, backend: str) -> str:
    reason = cell.shown.reason.replace("`", "'")
    return f"- {cell.client} × {cell.server}: {cell.met} ({reason}); again: `{cell.again(backend)}`"
