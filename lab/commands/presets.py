"""``lab presets``: the NATs that have a name."""

from __future__ import annotations

import click

from lab.commands.shared import json_option, print_json
from lab.model.presets import PRESETS
from lab.report import console, presets_json, presets_table


@click.command()
@json_option
def presets(*, as_json: bool) -> None:
    """List the NATs that have a name, with where such a box was seen."""
    if as_json:
        print_json(presets_json(PRESETS.values()))
    else:
        console().print(presets_table(PRESETS.values()))
