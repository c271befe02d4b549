"""``lab plan``: what would be built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from lab.commands.shared import json_option, nat_option, print_json, split
from lab.model.document import load
from lab.model.plan import plan as planned
from lab.model.presets import PRESETS, preset
from lab.model.topology import DEFAULT_RULES, Host, Topology, row
from lab.report import console, plan_json, plan_table


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@nat_option
@click.option("--rules", default=DEFAULT_RULES, show_default=True, help="Flavour of the gateways' rules, with --nat.")
@json_option
def plan(*, file: Path | None, names: str | None, rules: str, as_json: bool) -> None:
    """Show what would be built of a topology file, or of a row of presets (--nat)."""
    if file is not None and names:
        raise click.UsageError("give a file or --nat, not both")
    wanted = planned(load(file) if file is not None else _row(split(names), rules))
    if as_json:
        print_json(plan_json(wanted))
    else:
        console().print(plan_table(wanted))


def _row(names: Sequence[str], rules: str) -> Topology:
    try:
        chosen = [preset(name).name for name in names] or list(PRESETS)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return row(chosen, hosts=[Host("relay"), Host("stun", addresses=2)], rules=rules)
