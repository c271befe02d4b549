"""The matrix as one HTML page: a heat map whose cells open their details, without scripts or anything from outside.

Each verdict has a letter and a shade besides its colour, and the colours are told apart by the colour-blind as well
(Okabe and Ito's blue and orange; a failure is hatched).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from operator import attrgetter
from pathlib import Path
from string import Template
from typing import Final

from lab.matrix.expected import Verdict
from lab.matrix.result import CellResult, Matrix, Run, spread

PAGE: Final = Path(__file__).with_name("page.html")

QUICK: Final = 0.25
"""Seconds within which a direct path has the lightest shade; the legend of the page says so, too."""
SOON: Final = 1.0

NOTHING: Final = "–"


def page(matrix: Matrix) -> str:
    """Return the page."""
    servers = list(dict.fromkeys(cell.server for cell in matrix.cells))
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=escape(f"The matrix over {matrix.backend}"),
        summary=escape(matrix.summary()),
        columns="".join(f'<th scope="col"><span>{escape(server)}</span></th>' for server in servers),
        rows="\n".join(_rows(matrix.cells, servers)),
        details="\n".join(_details(cell, matrix.backend) for cell in matrix.cells),
    )


def _rows(cells: Sequence[CellResult], servers: Sequence[str]) -> Iterator[str]:
    found = {(cell.client, cell.server): cell for cell in cells}
    for client in dict.fromkeys(cell.client for cell in cells):
        row = "".join(f"<td>{_square(found.get((client, server)))}</td>" for server in servers)
        yield f'<tr><th scope="row">{escape(client)}</th>{row}</tr>'


def _square(cell: CellResult | None) -> str:
    if cell is None:
        return ""
    middle = spread(cell.runs, lambda run: run.direct_after)["p50"]
    took = "" if middle is None else f"<small>{middle:.2f} s</small>"
    mark, kind = ("!", " u") if cell.unexpected else ("", "")
    title = f"{cell.client} × {cell.server}: {cell.met}"
    letter = cell.verdict[0].upper()
    classes = f"{_shade(cell.verdict, middle)}{kind}"
    return f'<a href="#{_anchor(cell)}" class="{classes}" title="{escape(title)}">{mark}{letter}{took}</a>'


def _shade(verdict: Verdict, seconds: float | None) -> str:
    if verdict is not Verdict.DIRECT:
        return verdict[0]
    return "d1" if seconds is None or seconds <= QUICK else "d2" if seconds <= SOON else "d3"


def _anchor(cell: CellResult) -> str:
    return f"{cell.client}--{cell.server}"


def _details(cell: CellResult, backend: str) -> str:
    run = cell.shown
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>" for name, value in _facts(cell, run, backend) if value)
    title = escape(f"{cell.client} × {cell.server}")
    return f'<section id="{_anchor(cell)}"><h2>{title}</h2><dl>{facts}</dl>{_timeline(run)}</section>'


def _facts(cell: CellResult, run: Run, backend: str) -> Iterator[tuple[str, str]]:
    """Go through what is told of a cell; values are HTML."""
    why = f" – {cell.because}" if cell.because else ""
    yield "verdict", escape(cell.met)
    yield "expected", escape(f"{cell.expected}{why}")
    yield "reason", escape(run.reason)
    yield "strategy", escape(run.strategy)
    if len(cell.runs) > 1:
        verdicts = {one: sum(each.verdict is one for each in cell.runs) for one in Verdict}
        yield "runs", ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items() if count)
        yield "first byte", _spread(cell, "first_byte_after")
        yield "direct", _spread(cell, "direct_after")
    yield "first byte after", _seconds(run.first_byte_after)
    yield "session up after", _seconds(run.opened_after)
    yield "direct after", "" if run.direct_after is None else f"{_seconds(run.direct_after)} more"
    if run.packets is not None:
        yield "packets sent", f"{run.packets[0]} by the client's end, {run.packets[1]} by the server's"
    yield "proof", escape(str(run.proof)) if run.proof else ""
    yield "ciphertext", escape(run.ciphertext or "")
    yield "capture", f"<code>{escape(run.capture)}</code>" if run.capture else ""
    yield "again", f"<code>{escape(cell.again(backend))}</code>"


def _spread(cell: CellResult, figure: str) -> str:
    found = spread(cell.runs, attrgetter(figure))
    return f"p50 {_seconds(found['p50'])}, p95 {_seconds(found['p95'])}" if found["count"] else ""


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f} s"


def _timeline(run: Run) -> str:
    if not run.timeline:
        return ""
    end = max(run.timeline[-1].at, QUICK)
    dots = "".join(
        f'<b style="left: {max(one.at, 0.0) / end * 100:.1f}%" title="{escape(one.what)}"></b>' for one in run.timeline
    )
    lines = "".join(f"<tr><td>{one.at:.3f} s</td><td>{escape(one.what)}</td></tr>" for one in run.timeline)
    return f'<div class="axis">{dots}</div><table class="times">{lines}</table>'
