"""``lab run``: build a network, and run a command in one of its machines or hold it open for you."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import click
from rich.table import Table

from lab.backends.netns.world import World, opened
from lab.commands.shared import need_namespaces
from lab.model.document import load
from lab.model.plan import Plan
from lab.model.plan import plan as planned
from lab.model.topology import ROUTER
from lab.privilege import INSIDE
from lab.report import NOTHING, console

NOT_FOUND: Final = 127
"""How a shell ends that did not find a program."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--in", "node", help="Where the command runs: a peer, host or gateway.  [default: the first peer]")
def run(*, file: Path, command: tuple[str, ...], node: str | None) -> None:
    """Build a topology FILE, run a COMMAND in it and end as that does; without one, hold it open until Ctrl-C."""
    wanted = planned(load(file))
    place = _place(wanted, node)
    need_namespaces()
    with opened(wanted) as world:
        if command:
            sys.exit(_run(world.namespace(place).name, command))
        console().print(machines(world))
        click.echo("Ctrl-C ends it.")
        sys.stdout.flush()
        threading.Event().wait()


def _place(wanted: Plan, node: str | None) -> str:
    known = [*wanted.peers, *wanted.hosts, *wanted.gateways, ROUTER]
    if node is not None and node not in known:
        raise click.UsageError(f"there is no {node!r}; there are {', '.join(known)}")
    return node or known[0]


def _run(namespace: str, command: tuple[str, ...]) -> int:
    # Ctrl-C is for the command; what we catch ourselves, it inherits as the default.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return subprocess.run([*enter(namespace), *command], check=False).returncode
    except FileNotFoundError:
        return NOT_FOUND
    finally:
        signal.signal(signal.SIGINT, before)


def enter(namespace: str) -> list[str]:
    """Return the words that stand before a command which is to run in a namespace."""
    return ["ip", "netns", "exec", namespace]


def machines(world: World) -> Table:
    """Return a line for each machine, with what to type in another terminal to be there."""
    # Namespaces of a user namespace are seen only from inside it.
    door = f"nsenter -t {os.getpid()} -U -m --preserve-credentials " if INSIDE in os.environ else ""
    made = Table(title=f"{world.plan.name} stands", title_justify="left", expand=False)
    for title in ("machine", "what it is", "address", "behind", "type this for a shell there"):
        made.add_column(title, overflow="fold")
    plan = world.plan
    rows = [
        *((one.name, "peer", one.address, one.gateway) for one in plan.peers.values()),
        *((one.name, "public host", ", ".join(one.addresses), ROUTER) for one in plan.hosts.values()),
        *((one.name, "gateway", one.wan, one.behind or ROUTER) for one in plan.gateways.values()),
        (ROUTER, "between them all", NOTHING, NOTHING),
    ]
    for name, kind, address, behind in rows:
        made.add_row(name, kind, address, behind, f"{door}{' '.join(enter(world.namespace(name).name))} sh")
    return made
