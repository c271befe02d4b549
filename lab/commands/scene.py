"""``lab scene``: let something happen to a network while a transfer is under way."""

from __future__ import annotations

import sys

import click

from lab.commands.shared import EXIT_UNEXPECTED, json_option, need_namespaces, print_json
from lab.report import console

WAYS = ("upload", "download")
FULL_MIB = 500
FULL_SECONDS = 215.0
"""What a scene of rotation carries each way, and how long it takes for a hundred changes of keys."""


@click.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--way", type=click.Choice(WAYS), default="upload", show_default=True, help="Which end sends.")
@click.option("--loss", type=click.FloatRange(0, 50), default=0.0, help="rotate-*: percent of all packets lost.")
@click.option("--mib", type=click.IntRange(1), default=FULL_MIB, show_default=True, help="rotate-*: MiB each way.")
@click.option(
    "--seconds", type=click.FloatRange(10), default=FULL_SECONDS, show_default=True, help="rotate-*: for how long."
)
@json_option
def scene(  # noqa: PLR0913 - one parameter an option
    *, names: tuple[str, ...], way: str, loss: float, mib: int, seconds: float, as_json: bool
) -> None:
    """Play scenes with real programs; exit 4 when a claim does not hold. Without a name, list them.

    ``all`` plays all but those of rotation, which carry cargo both ways for minutes, and prove their capture. In most
    scenes at least 100 MiB are on their way through a stream while something happens to the network; in others two
    programs meet without a relay.
    """
    from lab.scenes import drop, rotation
    from lab.scenes.mishaps import SCENES, play
    from lab.scenes.result import document, table

    rotating = rotation.scenes(rotation.Load(mib, seconds, loss / 100))
    ours = {**SCENES, **rotating}
    known = {name: scene.about for name, scene in ours.items()} | {name: drop.about(name) for name in drop.names()}
    if not names:
        for name, about in known.items():
            click.echo(f"{name:20} {about}")
        return
    wanted = [name for name in known if name not in rotating] if names == ("all",) else list(names)
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
