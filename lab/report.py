"""How the laboratory tells of presets and plans: tables for eyes, plain values for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from lab.backends.netns.cabling import cabling
from lab.backends.netns.rules import RulesError, choose
from lab.model.plan import ROUTER_EDGE, ROUTER_HOST, Plan, PlannedGateway
from lab.model.presets import Preset
from lab.model.topology import ROUTER

SCHEMA: Final = 1
"""Version of the JSON documents: raised when a key changes its meaning or goes away."""

PLAIN_WIDTH: Final = 160
"""Columns of a table that does not go to a terminal."""

NOTHING: Final = "–"


def console() -> Console:
    """Return where tables go: standard output, wide enough when it is no terminal."""
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, markup=False, highlight=False)


def presets_table(presets: Iterable[Preset]) -> Table:
    """Return one block a preset: what it is in the model's words, and where it was seen."""
    made = Table(title="presets", title_justify="left", expand=False, show_lines=True)
    for title in ("name", "mapping", "filtering", "ports"):
        made.add_column(title, no_wrap=True)
    made.add_column("what it is, and where it was seen")
    for one in presets:
        made.add_row(
            one.name,
            "\n".join(nat.mapping if nat.translates else NOTHING for nat in one.layers),
            "\n".join(nat.filtering if nat.translates else NOTHING for nat in one.layers),
            "\n".join(str(nat.allocation) if nat.translates else NOTHING for nat in one.layers),
            f"{one.summary}\nseen: {one.seen}",
        )
    return made


def presets_json(presets: Iterable[Preset]) -> dict[str, Any]:
    """Return presets as plain values."""
    return {"schema": SCHEMA, "report": "presets", "presets": [asdict(one) for one in presets]}


def plan_table(plan: Plan) -> Table:
    """Return one line for everything that would be built."""
    made = Table(title=f"plan of {plan.name}", title_justify="left", expand=False)
    for title in ("node", "kind", "address", "next hop", "rules", "link"):
        made.add_column(title)
    for host in plan.hosts.values():
        made.add_row(host.name, "host", ", ".join(host.addresses), ROUTER_HOST, NOTHING, _link(host.link))
    made.add_row(ROUTER, ROUTER, f"{ROUTER_HOST}, {ROUTER_EDGE}", NOTHING, NOTHING, NOTHING)
    for gateway in plan.gateways.values():
        addresses = gateway.wan if gateway.lan == gateway.wan else f"{gateway.wan}, inside {gateway.lan}"
        kind = f"gateway: {gateway.nat.mapping} / {gateway.nat.filtering} / {gateway.nat.allocation}"
        made.add_row(
            gateway.name,
            kind if gateway.nat.translates else "plain router",
            addresses,
            gateway.behind or ROUTER,
            rule_file(gateway),
            _link(gateway.link),
        )
    for peer in plan.peers.values():
        made.add_row(peer.name, "peer", peer.address, peer.gateway, NOTHING, NOTHING)
    return made


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return what would be built as plain values, down to the commands."""
    made = cabling(plan)
    return {
        "schema": SCHEMA,
        "report": "plan",
        **plan.as_json(),
        "rules": {one.name: rule_file(one) for one in plan.gateways.values()},
        "namespaces": made.nodes,
        "cables": [asdict(cable) for cable in made.cables],
        "commands": made.commands,
    }


def rule_file(gateway: PlannedGateway) -> str:
    """Return the file of a gateway's rules, or why there is none."""
    try:
        chosen = choose(gateway.nat, gateway.rules)
    except RulesError as error:
        return str(error)
    return chosen.file.name if chosen else NOTHING


def _link(link: object) -> str:
    changed = [word for word in str(link).removeprefix("Link(").removesuffix(")").split(", ") if not _zero(word)]
    return ", ".join(changed) or NOTHING


def _zero(word: str) -> bool:
    return word.endswith(("=0", "=0.0"))
