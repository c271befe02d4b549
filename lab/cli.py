"""The command line of the laboratory.

Exit codes: 0 as wished, 1 something could not be built or is missing, 2 wrong arguments or a wrong file, 3 the
laboratory is dishonest, 4 a pair of NATs did not get the verdict that is expected of it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from clawchat.values.errors import ConfigError
from lab import netns, privilege
from lab.endings import clean_up_when_ended
from lab.gate.suspects import ALL_RULES, Candidate, candidates
from lab.gate.verdict import DISHONEST, Report, table
from lab.matrix.result import Matrix
from lab.model.document import load
from lab.model.plan import plan as planned
from lab.model.presets import PRESETS, preset
from lab.model.topology import DEFAULT_RULES, Host, Topology, row
from lab.report import console, plan_json, plan_table, presets_json, presets_table

EXIT_MISSING: Final = 1
EXIT_USAGE: Final = 2
EXIT_DISHONEST: Final = 3
EXIT_UNEXPECTED: Final = 4

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
nat_option = click.option("--nat", "names", help="Comma-separated presets instead of all of them.")


def _split(names: str | None) -> list[str]:
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Build networks full of NATs on this machine, and prove that they are what they claim to be."""
    clean_up_when_ended()


@main.command()
@json_option
def presets(*, as_json: bool) -> None:
    """List the NATs that have a name, with where such a box was seen."""
    if as_json:
        _print_json(presets_json(PRESETS.values()))
    else:
        console().print(presets_table(PRESETS.values()))


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@nat_option
@click.option("--rules", default=DEFAULT_RULES, show_default=True, help="Flavour of the gateways' rules, with --nat.")
@json_option
def plan(*, file: Path | None, names: str | None, rules: str, as_json: bool) -> None:
    """Show what would be built of a topology file, or of a row of presets (--nat)."""
    if file is not None and names:
        raise click.UsageError("give a file or --nat, not both")
    wanted = planned(load(file) if file is not None else _row(_split(names), rules))
    if as_json:
        _print_json(plan_json(wanted))
    else:
        console().print(plan_table(wanted))


def _row(names: Sequence[str], rules: str) -> Topology:
    try:
        chosen = [preset(name).name for name in names] or list(PRESETS)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return row(chosen, hosts=[Host("relay"), Host("stun", addresses=2)], rules=rules)


@main.command()
@json_option
def clean(*, as_json: bool) -> None:
    """Remove what runs that did not end well have left behind."""
    removed = netns.remove_leftovers(end_programs=True)
    if as_json:
        _print_json({"schema": 1, "report": "clean", "removed": removed})
        return
    for name in removed:
        click.echo(f"removed {name}")
    click.echo(f"{len(removed)} namespaces removed")


@main.command()
@nat_option
@click.option("--backend", type=click.Choice(["netns", "sim"]), default="netns", show_default=True)
@click.option(
    "--rules",
    default=ALL_RULES,
    show_default=True,
    help=f"Which rules make the gateways: nft, iptables, the name of one rule set, or {ALL_RULES}.",
)
@click.option(
    "--tools/--no-tools",
    default=None,
    help="Insist on coturn's and Debian's programs, or do without.  [default: if there]",
)
@json_option
def gate(*, names: str | None, backend: str, rules: str, tools: bool | None, as_json: bool) -> None:
    """Prove that every gateway is what it claims to be; exit 3 when one is not."""
    from lab.gate.tools import missing as missing_tools
    from lab.gate.trial import try_namespaces, try_simulated

    if backend == "sim":
        report = try_simulated(_candidates(names, DEFAULT_RULES))
    else:
        _need_namespaces()
        if tools and (lacking := missing_tools()):
            raise click.ClickException(f"second opinions cannot be had here: {', '.join(lacking)} is missing")
        report = try_namespaces(_candidates(names, rules), with_tools=tools is not False)
    _tell(report, as_json=as_json)
    if not report.honest:
        sys.exit(EXIT_DISHONEST)


@main.command()
@nat_option
@click.option("--backend", type=click.Choice(["netns", "sim"]), default="netns", show_default=True)
@click.option("--json", "document", type=click.Path(dir_okay=False, path_type=Path), help="Write it as JSON, too.")
def matrix(*, names: str | None, backend: str, document: Path | None) -> None:
    """Try every pair of NATs, in netns with real programs; exit 4 when a verdict is not the expected one."""
    from lab.matrix.expected import NAMES, chosen
    from lab.matrix.result import grid

    try:
        wanted = chosen(_split(names)) if names else NAMES
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    found = _matrix(wanted, backend)
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


def _matrix(names: Sequence[str], backend: str) -> Matrix:
    if backend == "sim":
        from lab.matrix.simulated import try_simulated

        return try_simulated(names)
    from lab.matrix.namespaces import try_namespaces

    _need_namespaces()
    return try_namespaces(names)


def _need_namespaces() -> None:
    """Get the right to make namespaces, or say what is missing."""
    if privilege.needed():
        privilege.restart(sys.argv[1:])
    if missing := netns.available():
        raise click.ClickException(f"namespaces cannot be used here: {missing} is missing")


def _candidates(names: str | None, rules: str) -> list[Candidate]:
    try:
        return candidates(_split(names), rules)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        _print_json(report.as_json())
        return
    console().print(table(report.verdicts))
    for program in report.missing:
        click.echo(f"not asked, because this machine lacks it: {program}", err=True)
    lies = [(verdict.title, lie) for verdict in report.verdicts for lie in verdict.lies]
    for title, lie in lies:
        click.echo(f"{title}: {lie.probe}: claimed {lie.claimed}, met {lie.observed}", err=True)
    summary = f"{len(report.verdicts)} gateways of {report.backend} in {report.seconds:.1f} s"
    click.echo(f"{DISHONEST if not report.honest else 'honest'}: {summary}")


def run() -> None:
    """Run the command line; what a person did wrong is told in one line."""
    try:
        main(prog_name="python -m lab")
    except ConfigError as error:
        click.echo(f"error: {error}" + (f"\nnext:  {error.action}" if error.action else ""), err=True)
        sys.exit(EXIT_USAGE)
    except (netns.NamespaceError, ValueError, TimeoutError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_MISSING)
