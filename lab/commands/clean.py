"""``lab clean``: remove what runs have left behind."""

from __future__ import annotations

import click

from lab import netns
from lab.commands.shared import json_option, print_json


@click.command()
@json_option
def clean(*, as_json: bool) -> None:
    """Remove what runs that did not end well have left behind."""
    removed = netns.remove_leftovers(end_programs=True)
    if as_json:
        print_json({"schema": 1, "report": "clean", "removed": removed})
        return
    for name in removed:
        click.echo(f"removed {name}")
    click.echo(f"{len(removed)} namespaces removed")
