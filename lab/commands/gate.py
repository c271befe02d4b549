"""``lab gate``: prove that the gateways are what they claim to be."""

from __future__ import annotations

import sys

import click

from lab.commands.shared import (
    EXIT_DISHONEST,
    json_option,
    nat_option,
    need_containers,
    need_namespaces,
    print_json,
    split,
)
from lab.gate.suspects import ALL_RULES, Candidate, candidates
from lab.gate.verdict import DISHONEST, Report, table
from lab.matrix.expected import NAMES
from lab.model.topology import DEFAULT_RULES, PREFERRED_RULES
from lab.report import console


@click.command()
@nat_option
@click.option("--backend", type=click.Choice(["netns", "sim", "compose"]), default="netns", show_default=True)
@click.option(
    "--rules",
    help="Which rules make the gateways: flavours (nft, iptables) in the order of preference, the name of a rule set, "
    f"or {ALL_RULES}.  [default: {ALL_RULES}; with compose {PREFERRED_RULES}]",
)
@click.option(
    "--tools/--no-tools",
    default=None,
    help="Insist on coturn's and Debian's programs, or do without.  [default: if there]",
)
@json_option
def gate(*, names: str | None, backend: str, rules: str | None, tools: bool | None, as_json: bool) -> None:
    """Prove that every gateway is what it claims to be; exit 3 when one is not.

    Without --nat all presets are tried, in containers those of the matrix.
    """
    from lab.gate.tools import missing as missing_tools
    from lab.gate.trial import try_containers, try_namespaces, try_simulated

    if backend == "sim":
        report = try_simulated(chosen(names, DEFAULT_RULES))
    elif backend == "compose":
        need_containers()
        report = try_containers(chosen(names or ",".join(NAMES), rules or PREFERRED_RULES))
    else:
        need_namespaces()
        if tools and (lacking := missing_tools()):
            raise click.ClickException(f"second opinions cannot be had here: {', '.join(lacking)} is missing")
        report = try_namespaces(chosen(names, rules or ALL_RULES), with_tools=tools is not False)
    _tell(report, as_json=as_json)
    if not report.honest:
        sys.exit(EXIT_DISHONEST)


def chosen(names: str | None, rules: str) -> list[Candidate]:
    """Return the gateways that are asked for."""
    try:
        return candidates(split(names), rules)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    console().print(table(report.verdicts))
    for program in report.missing:
        click.echo(f"not asked, because this machine lacks it: {program}", err=True)
    lies = [(verdict.title, lie) for verdict in report.verdicts for lie in verdict.lies]
    for title, lie in lies:
        click.echo(f"{title}: {lie.probe}: claimed {lie.claimed}, met {lie.observed}", err=True)
    summary = f"{len(report.verdicts)} gateways of {report.backend} in {report.seconds:.1f} s"
    click.echo(f"{DISHONEST if not report.honest else 'honest'}: {summary}")
