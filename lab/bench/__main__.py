"""The command line of the benchmarks; `scripts/bench` starts it from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from lab import netns
from lab.bench.handshakes import measure_handshakes
from lab.bench.load import measure_idle, measure_junk
from lab.bench.peers.base import Peer, Plan
from lab.bench.peers.registry import message_peers, transport_peers
from lab.bench.report import (
    Comparison,
    Reading,
    comparison_json,
    comparison_table,
    console,
    document,
    machine,
    readings_json,
    readings_table,
)
from lab.bench.stage import PeerFailedError, Setup
from lab.bench.transport import compare
from lab.endings import clean_up_when_ended

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")
seconds_option = click.option(
    "--seconds", type=click.FloatRange(0.1, 600), default=3.0, show_default=True, help="Length of one measurement."
)
rounds_option = click.option(
    "--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Rounds over all peers."
)
echoes_option = click.option(
    "--echoes", type=click.IntRange(10), default=2000, show_default=True, help="Round trips in a round."
)
offload_option = click.option(
    "--offload/--no-offload", default=True, help="Let ClawChat use GSO and GRO, or only do without."
)

pin_option = click.option(
    "--pin/--no-pin", "pinned", default=False, help="Give each end one core of its own: steadier round trips."
)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_machine() -> None:
    console().print(" · ".join(f"{name} {value}" for name, value in machine().items()))


def _require_namespaces() -> None:
    if missing := netns.available():
        raise click.ClickException(f"namespaces cannot be used here: {missing} is missing")


def _plan(*, seconds: float = 0.0, echoes: int, pinned: bool) -> Plan:
    if pinned and (len(os.sched_getaffinity(0)) < 2 or not shutil.which("taskset")):
        raise click.UsageError("--pin needs two cores and the program taskset")
    return Plan(seconds, echoes, pinned=pinned)


def _chosen(peers: list[Peer], names: str | None) -> list[Peer]:
    if not names:
        return peers
    known = {peer.name: peer for peer in peers}
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in known:
            raise click.UsageError(f"no peer is called {name}; there are: {', '.join(known)}")
    return [known[name] for name in wanted]


def _report_comparisons(
    benchmark: str, plan: dict[str, Any], comparisons: Sequence[Comparison], *, as_json: bool
) -> None:
    if as_json:
        rows = [comparison_json(comparison) for comparison in comparisons]
        _print_json(document(benchmark, plan, {"comparisons": rows}))
    else:
        _print_machine()
        console().print("medians over rounds; " + ", ".join(f"{name} {value}" for name, value in plan.items()))
        for comparison in comparisons:
            console().print(comparison_table(comparison))
    if any(row.failed for comparison in comparisons for row in comparison.rows):
        sys.exit(1)


def _report_readings(benchmark: str, plan: dict[str, Any], readings: Sequence[Reading], *, as_json: bool) -> None:
    if as_json:
        _print_json(document(benchmark, plan, {"readings": readings_json(readings)}))
    else:
        _print_machine()
        console().print(readings_table(benchmark, readings))


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure ClawChat and its rivals on this machine, inside network namespaces."""
    clean_up_when_ended()


@main.command()
@json_option
@seconds_option
@rounds_option
@echoes_option
@click.option("--peers", "names", help="Comma-separated names of the only peers to measure.")
@click.option(
    "--setup",
    type=click.Choice(["wire", "pass", "both"]),
    default="wire",
    show_default=True,
    help="wire: every datagram crosses alone, as on a network card; pass: super-packets cross whole.",
)
@offload_option
@pin_option
def transport(  # noqa: PLR0913 - one argument an option
    *,
    as_json: bool,
    seconds: float,
    rounds: int,
    echoes: int,
    names: str | None,
    setup: str,
    offload: bool,
    pinned: bool,
) -> None:
    """Compare goodput, CPU, round trips and set-up of all peers side by side."""
    _require_namespaces()
    peers = _chosen(transport_peers(offload=offload), names)
    plan = _plan(seconds=seconds, echoes=echoes, pinned=pinned)
    setups = list(Setup) if setup == "both" else [Setup(setup)]
    comparisons = [compare(peers, one, plan, rounds=rounds, say=_say) for one in setups]
    _report_comparisons("transport", {"rounds": rounds, **asdict(plan)}, comparisons, as_json=as_json)


@main.command()
@json_option
@rounds_option
@echoes_option
@pin_option
def messages(*, as_json: bool, rounds: int, echoes: int, pinned: bool) -> None:
    """Compare the round trip of ClawChat's 64-byte messages with a bare UDP echo on the same event loop."""
    _require_namespaces()
    plan = _plan(echoes=echoes, pinned=pinned)
    compared = compare(message_peers(), Setup.WIRE, plan, rounds=rounds, say=_say)
    _report_comparisons("messages", {"rounds": rounds, "echoes": echoes, "pinned": pinned}, [compared], as_json=as_json)


@main.command()
@json_option
@seconds_option
def handshakes(*, as_json: bool, seconds: float) -> None:
    """Count the handshakes that a responder completes in a second of one core."""
    _report_readings("handshakes", {"seconds": seconds}, measure_handshakes(seconds), as_json=as_json)


@main.command()
@json_option
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    default=30.0,
    show_default=True,
    help="How long the sessions are watched; a keepalive leaves every 15 s or so.",
)
@click.option("--sessions", type=click.IntRange(1, 60_000), default=10_000, show_default=True, help="Idle sessions.")
def idle(*, as_json: bool, seconds: float, sessions: int) -> None:
    """Read a server's memory and processor time while a crowd of sessions says nothing."""
    _require_namespaces()
    readings = measure_idle(sessions, seconds, say=_say)
    _report_readings("idle", {"seconds": seconds, "sessions": sessions}, readings, as_json=as_json)


@main.command()
@json_option
@seconds_option
@offload_option
def junk(*, as_json: bool, seconds: float, offload: bool) -> None:
    """Count the junk datagrams that a server refuses in a second of one core, by kind."""
    _require_namespaces()
    readings = measure_junk(seconds, offload=offload, say=_say)
    _report_readings("junk", {"seconds": seconds, "offload": offload}, readings, as_json=as_json)


if __name__ == "__main__":
    try:
        main(prog_name="scripts/bench")
    except PeerFailedError as error:
        sys.exit(f"scripts/bench: {error}")
