"""``lab scene``: let something happen to a network while a transfer is under way."""

from __future__ import annotations

import sys

import click

from lab.commands.shared import EXIT_UNEXPECTED, json_option, need_namespaces, print_json
from lab.report import console

WAYS = ("upload", "download")


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--way", type=click.Choice(WAYS), default="upload", show_default=True, help="Which end sends.")
@json_option
def scene(*, names: tuple[str, ...], way: str, as_json: bool) -> None:
    """Play scenes with real programs; exit 4 when a claim does not hold. Without a name, list them.

    ``all`` plays all but those of rotation, which take minutes each. In most scenes at least 100 MiB are on their way
    through a stream while something happens to the network; in others two programs meet without a relay.
    """
    from lab.scenes import drop, rotation
    from lab.scenes.mishaps import SCENES, play
    from lab.scenes.result import document, table

    ours = {**SCENES, **rotation.SCENES}
    known = {name: scene.about for name, scene in ours.items()} | {name: drop.about(name) for name in drop.names()}
    if not names:
        for name, about in known.items():
            click.echo(f"{name:20} {about}")
        return
    wanted = [name for name in known if name not in rotation.SCENES] if names == ("all",) else list(names)
    if unknown := [name for name in wanted if name not in known]:
        raise click.UsageError(f"no scene is called {', '.join(unknown)}; `python -m lab scene` lists them")
    need_namespaces()
    outcomes = [play(ours[name], way) if name in ours else drop.play(name) for name in wanted]
    if as_json:
        print_json(document(outcomes))
    else:
        console().print(table(outcomes))
    if not all(outcome.held for outcome in outcomes):
        sys.exit(EXIT_UNEXPECTED)
