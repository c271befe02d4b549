"""``lab sweep``: pairs of ends drawn from a published mix of NATs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import click

from lab.commands.shared import EXIT_UNEXPECTED
from lab.report import console
from lab.study.population import MIXES, PEERS

FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--mix", "name", type=click.Choice(list(MIXES)), default=PEERS.name, show_default=True)
@click.option("--pairs", type=click.IntRange(min=1), default=10_000, show_default=True, help="How many to draw.")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "document", type=FILE, help="Write it as JSON, too.")
def sweep(*, name: str, pairs: int, seed: int, document: Path | None) -> None:
    """Draw pairs from a published mix of NATs, in sim: share direct, relayed, failed; exit 4 when one of ours fails."""
    from lab.study import sweep as work

    mix = MIXES[name]
    found = work.sweep(mix, pairs, seed=seed)
    console().print(found.table())
    click.echo(f"source: {mix.source}: {mix.says}")
    click.echo(f"our judgement: {mix.judged}")
    click.echo(f"{found.seconds:.0f} s; again: {found.again}")
    if document is not None:
        document.write_text(json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for client, server, number in found.failed:
        click.echo(f"failed: {client} x {server}, seed {number}", err=True)
    if found.failed:
        sys.exit(EXIT_UNEXPECTED)
