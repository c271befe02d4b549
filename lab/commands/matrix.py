"""``lab matrix``: try every pair of NATs."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from lab.commands.shared import EXIT_UNEXPECTED, nat_option, need_containers, need_namespaces, split
from lab.matrix.expected import Pair, Table, chosen, table
from lab.matrix.result import Matrix
from lab.matrix.tapes import Taping, missing
from lab.report import console
from lab.strategies.strategy import Strategy

DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)
FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@nat_option
@click.option("--pair", metavar="CLIENT,SERVER", help="One pair of presets, instead of all pairs.")
@click.option(
    "--table",
    "which",
    type=click.Choice([str(one) for one in Table]),
    help="The seven presets; the second table, further ones against these and each other; or both.  [default: main]",
)
@click.option("--backend", type=click.Choice(["netns", "sim", "compose"]), default="netns", show_default=True)
@click.option(
    "--strategy",
    type=click.Choice([str(one) for one in Strategy]),
    default=str(Strategy.CLAWCHAT),
    show_default=True,
    help="Whose way to punch: ours, full-TTL probes at the same moment, or those and a birthday of ports.",
)
@click.option(
    "--runs",
    "--seeds",
    "runs",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Try each pair so often; in sim each time with another seed.",
)
@click.option("--capture", "captures", type=DIRECTORY, help="Keep the captures of all sessions and their keys here.")
@click.option("--no-capture", "untaped", is_flag=True, help="Record nothing, and prove nothing to be ciphertext.")
@click.option("--json", "document", type=FILE, help="Write it as JSON, too.")
@click.option("--html", "page", type=FILE, help="Write it as one page with a heat map, too.")
@click.option("--junit", type=FILE, help="Write it as JUnit's XML, too.")
@click.option("--markdown", type=FILE, help="Write it as Markdown, too.")
def matrix(  # noqa: PLR0913 - what to try, and how to tell of it
    *,
    names: str | None,
    pair: str | None,
    which: str | None,
    backend: str,
    strategy: str,
    runs: int,
    captures: Path | None,
    untaped: bool,
    document: Path | None,
    page: Path | None,
    junit: Path | None,
    markdown: Path | None,
) -> None:
    """Try every pair of NATs, in netns and compose with real programs; exit 4 when a verdict is not the expected one.

    There every session is recorded on both sides of its gateways, and has to be proven to be ciphertext.
    """
    from lab.matrix.report.text import grid

    chosen_strategy = Strategy(strategy)
    taping = None if backend == "sim" or chosen_strategy.rival or untaped else _taping(captures)
    if captures is not None and taping is None:
        raise click.UsageError("there are no captures to keep")
    found = _tried(_pairs(names, pair, which), backend, runs, chosen_strategy, taping)
    _write(found, document=document, page=page, junit=junit, markdown=markdown)
    console().print(grid(found.cells))
    for cell in found.unexpected:
        click.echo(f"{cell.client} x {cell.server}: {cell.met}: {cell.shown.reason}", err=True)
        click.echo(f"  again: {cell.again(found.backend)}", err=True)
    click.echo(found.summary())
    if found.unexpected:
        sys.exit(EXIT_UNEXPECTED)


def _pairs(names: str | None, pair: str | None, which: str | None) -> Sequence[Pair]:
    if sum(word is not None for word in (names, pair, which)) > 1:
        raise click.UsageError("give one of --nat, --pair and --table")
    try:
        if pair is not None:
            client, server = (chosen([name])[0] for name in _two(pair))
            return ((client, server),)
        if names is not None:
            wanted = chosen(split(names))
            return tuple(itertools.product(wanted, wanted))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return table(Table(which or Table.MAIN))


def _two(pair: str) -> list[str]:
    found = split(pair)
    if len(found) != 2:
        raise ValueError(f"a pair is CLIENT,SERVER, not {pair!r}")
    return found


def _taping(captures: Path | None) -> Taping | None:
    """Return how sessions are recorded; None where captures cannot be judged and nobody wants to keep them."""
    lacking = missing()
    if lacking is None:
        return Taping(captures)
    if captures is not None:
        raise click.ClickException(f"captures cannot be judged here: {lacking} is missing")
    click.echo(f"nothing is recorded, because this machine lacks {lacking}", err=True)
    return None


def _tried(pairs: Sequence[Pair], backend: str, runs: int, strategy: Strategy, taping: Taping | None) -> Matrix:
    if strategy.rival:
        from lab.matrix.rivals import try_namespaces as try_rivals
        from lab.matrix.rivals import try_simulated as try_rivals_simulated

        if backend == "sim":
            return try_rivals_simulated(pairs, strategy, runs=runs)
        if backend == "compose":
            raise click.UsageError("rivals are tried in netns and sim only")
        need_namespaces()
        return try_rivals(pairs, strategy, runs=runs)
    if backend == "sim":
        from lab.matrix.simulated import try_simulated

        return try_simulated(pairs, runs=runs)
    from lab.matrix.namespaces import try_containers, try_namespaces

    if backend == "compose":
        need_containers(recording=taping is not None)
        return try_containers(pairs, runs=runs, taping=taping)
    need_namespaces()
    return try_namespaces(pairs, runs=runs, taping=taping)


def _write(
    found: Matrix, *, document: Path | None, page: Path | None, junit: Path | None, markdown: Path | None
) -> None:
    """Write all forms that are asked for."""
    from lab.matrix.report.junit import junit as as_junit
    from lab.matrix.report.markdown import markdown as as_markdown
    from lab.matrix.report.page import page as as_page

    if document is not None:
        text = json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
        document.write_text(text, encoding="utf-8")
    if page is not None:
        page.write_text(as_page(found), encoding="utf-8")
    if junit is not None:
        junit.write_text(as_junit(found), encoding="utf-8")
    if markdown is not None:
        markdown.write_text(as_markdown(found), encoding="utf-8")
