"""``lab study``: measure punching, ours beside the rivals'."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, ParamSpec

import click

from lab.commands.shared import need_namespaces
from lab.report import console

if TYPE_CHECKING:
    from lab.study.figures import Row

P = ParamSpec("P")
FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.group()
def study() -> None:
    """Measure how ends find a direct path: ours and, side by side, the rivals'."""


def options(runs: int) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Return the options that every study has; it is repeated so often unless told otherwise."""

    def decorate(command: Callable[P, None]) -> Callable[P, None]:
        for option in (
            click.option("--json", "document", type=FILE, help="Write it as JSON, too."),
            click.option("--seed", type=int, default=1, show_default=True, help="The first run's seed."),
            click.option("--runs", type=click.IntRange(min=1), default=runs, show_default=True, help="Repeat it."),
            click.option("--backend", type=click.Choice(["netns", "sim"]), default="netns", show_default=True),
        ):
            command = option(command)
        return command

    return decorate


@study.command()
@options(runs=20)
@click.option("--blind", is_flag=True, help="Let our ends not know how many NATs of their own there are.")
def poisonable(*, backend: str, runs: int, seed: int, document: Path | None, blind: bool) -> None:
    """Start skews between gateways that take early packets for their own."""
    from lab.study import poisonable as work

    _prepare(backend)
    rows = work.study(backend, runs, seed=seed, blind=blind)
    flags = " --blind" if blind else ""
    _tell("poisonable", rows, backend, runs, seed, document, flags)
    click.echo(work.summary(rows))


@study.command()
@options(runs=50)
@click.option("--case", "number", type=click.IntRange(min=1), help="Only the case of this number.")
def times(*, backend: str, runs: int, seed: int, document: Path | None, number: int | None) -> None:
    """Seconds and packets until a path is direct, against our targets."""
    from lab.study import times as work

    _prepare(backend)
    cases = work.CASES if number is None else work.CASES[number - 1 : number]
    if not cases:
        raise click.UsageError(f"there are {len(work.CASES)} cases")
    rows = work.study(backend, runs, seed=seed, cases=cases)
    _tell("times", rows, backend, runs, seed, document, f" --case {number}" if number else "")
    missed = [f"{row.case}: {target}" for row in rows for target in row.missed]
    click.echo("; ".join(["targets missed", *missed]) if missed else "every target met")


def _prepare(backend: str) -> None:
    if backend != "sim":
        need_namespaces()


def _tell(  # noqa: PLR0913 - what a document says
    name: str, rows: Sequence[Row], backend: str, runs: int, seed: int, file: Path | None, flags: str
) -> None:
    from lab.study.bout import ROUND_TRIP
    from lab.study.figures import MILLISECONDS, document, shown

    again = f"python -m lab study {name} --backend {backend} --runs {runs} --seed {seed}{flags}"
    round_trip = round(ROUND_TRIP * MILLISECONDS)
    console().print(shown(f"{name}, {backend}, round trip {round_trip} ms, {runs} runs", rows))
    click.echo(f"again: {again}")
    if file is not None:
        found = document(name, backend, seed, again, rows, runs=runs, round_trip_ms=round_trip)
        file.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
