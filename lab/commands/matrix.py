"""``lab matrix``: try every pair of NATs."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from lab.commands.shared import EXIT_UNEXPECTED, nat_option, need_namespaces, split
from lab.matrix.result import Matrix
from lab.report import console


@click.command()
@nat_option
@click.option("--backend", type=click.Choice(["netns", "sim"]), default="netns", show_default=True)
@click.option("--json", "document", type=click.Path(dir_okay=False, path_type=Path), help="Write it as JSON, too.")
def matrix(*, names: str | None, backend: str, document: Path | None) -> None:
    """Try every pair of NATs, in netns with real programs; exit 4 when a verdict is not the expected one."""
    from lab.matrix.expected import NAMES, chosen
    from lab.matrix.result import grid

    try:
        wanted = chosen(split(names)) if names else NAMES
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    found = _tried(wanted, backend)
    if document is not None:
        document.write_text(json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console().print(grid(found.cells))
    for cell in found.unexpected:
        met = "broken" if cell.broken else f"{cell.verdict}, not {cell.expected}"
        told = f"{cell.client} x {cell.server}: {met}: {cell.reason}"
        click.echo(told, err=True)
    click.echo(found.summary())
    if found.unexpected:
        sys.exit(EXIT_UNEXPECTED)


def _tried(names: Sequence[str], backend: str) -> Matrix:
    if backend == "sim":
        from lab.matrix.simulated import try_simulated

        return try_simulated(names)
    from lab.matrix.namespaces import try_namespaces

    need_namespaces()
    return try_namespaces(names)
