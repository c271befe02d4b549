"""``lab clean``: remove what runs have left behind."""

from __future__ import annotations

import click

from lab import netns
from lab.commands.shared import json_option, print_json


@click.command()
@json_option
def clean(*, as_json: bool) -> None:
    """Remove what runs that did not end well have left behind."""
    removed = [*netns.remove_leftovers(end_programs=True), *_containers()]
    if as_json:
        print_json({"schema": 1, "report": "clean", "removed": removed})
        return
    for name in removed:
        click.echo(f"removed {name}")
    click.echo(f"{len(removed)} namespaces, containers and networks removed")


def _containers() -> list[str]:
    """Remove containers and their networks, where there is a Docker daemon that could have any."""
    from lab.backends.compose import engine

    try:
        return engine.remove_leftovers()
    except netns.NamespaceError:
        return []
