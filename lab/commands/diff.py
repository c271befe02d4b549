"""``lab diff``: what changed between two documents of the matrix."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lab.commands.shared import EXIT_CHANGED, json_option, print_json
from lab.matrix.report.changes import changes, read, slower

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@json_option
def diff(*, old: Path, new: Path, as_json: bool) -> None:
    """Say which cells of the matrix came out otherwise in NEW; exit 5 when any did.

    The two may be of different backends. Cells that only take longer are told, and change nothing.
    """
    before, after = read(old), read(new)
    found, late = changes(before, after), tuple(slower(before, after))
    if as_json:
        print_json(
            {
                "schema": 1,
                "report": "diff",
                "changes": [change._asdict() for change in found],
                "slower": [change._asdict() for change in late],
            }
        )
    else:
        for change in found:
            click.echo(str(change))
        for change in late:
            click.echo(f"{change} (slower)")
        click.echo(f"{len(found)} of {len(after['cells'])} cells came out otherwise, {len(late)} are slower")
    if found:
        sys.exit(EXIT_CHANGED)
