#!/usr/bin/env python3
"""Write what docs/ shows of the code from the code itself; with --check only say what is out of date.

A document names what goes where: everything between ``<!-- made from code: NAME -->`` and ``<!-- end -->`` is ours.
Run it with the environment's own Python: ``.venv/bin/python scripts/diagrams.py``.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click

CHECKOUT: Final = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT)]

from clawchat.nat.portmap import mapper  # noqa: E402  (as above)
from clawchat.nat.reasons import REASONS  # noqa: E402  (as above)
from clawchat.net.config_schema import Option, sections_of  # noqa: E402  (the checkout must be on the path first)
from clawchat.session import port_rotation, rekeying, state  # noqa: E402  (as above)
from clawchat.values.catalog import CATALOG  # noqa: E402  (as above)
from clawchat.wire.frames import CloseCode  # noqa: E402  (as above)
from client.cli import cli as client_commands  # noqa: E402  (as above)
from client.settings import Settings as ClientSettings  # noqa: E402  (as above)
from scripts.byte_layouts import LAYOUTS, frames, layout  # noqa: E402  (as above)
from server.cli import cli as server_commands  # noqa: E402  (as above)
from server.metrics import table as metrics  # noqa: E402  (as above)
from server.relay_settings import RelaySettings  # noqa: E402  (as above)
from server.settings import Settings as ServerSettings  # noqa: E402  (as above)

MARKED: Final = re.compile(r"(<!-- made from code: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
StateT = TypeVar("StateT", bound=Enum)
TriggerT = TypeVar("TriggerT", bound=Enum)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Write a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def close_codes() -> str:
    """List the codes that CLOSE may carry."""
    return table(("code", "name"), [(str(code.value), code.name) for code in CloseCode])


def transitions(rows: Mapping[StateT, Mapping[TriggerT, StateT]], start: StateT) -> str:
    """Draw a transition table as a Mermaid state diagram."""
    names = {each: each.name.lower() for each in rows}
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {names[start]}"]
    for before, row in rows.items():
        lines += [f"    {names[before]} --> {names[after]}: {trigger.value}" for trigger, after in row.items()]
        if not row:
            lines.append(f"    {names[before]} --> [*]")
    return "\n".join([*lines, "```"]) + "\n"


def session_states() -> str:
    """Draw the life of a session."""
    return transitions(state.TRANSITIONS, state.State.HALF_OPEN)


def rekeying_states() -> str:
    """Draw how the keys of a session change."""
    return transitions(rekeying.TRANSITIONS, rekeying.Phase.STEADY)


def porting_states() -> str:
    """Draw how an endpoint moves to another port."""
    return transitions(port_rotation.TRANSITIONS, port_rotation.Stage.STAYING)


def mapper_states() -> str:
    """Draw how a router is asked for a mapping."""
    return transitions(mapper.TRANSITIONS, mapper.State.IDLE)


def floors() -> str:
    """Draw the floors in the order the import contract has them."""
    contracts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = (each["layers"] for each in contracts["contracts"] if each["id"] == "floors")
    nodes = [[name.strip() for name in layer.split("|")] for layer in layers]
    lines = ["```mermaid", "flowchart TD"]
    for upper, lower in pairwise(nodes):
        lines += [f"    {above} --> {below}" for above in upper for below in lower]
    return "\n".join([*lines, "```"]) + "\n"


class Limit(NamedTuple):
    """One named number: the heading it stands under, its name, how it is written, its sentence."""

    section: str
    name: str
    value: str
    sentence: str


def limits() -> Iterator[Limit]:
    """Read the constants, their sections and their sentences from the sources."""
    for name in ("limits", "limits_rotation"):
        yield from _limits_of((CHECKOUT / f"clawchat/values/{name}.py").read_text(encoding="utf-8"))


def _limits_of(source: str) -> Iterator[Limit]:
    headings = {number: line for number, line in enumerate(source.splitlines(), 1) if line.startswith("# ---")}
    body = ast.parse(source).body
    for statement, below in pairwise(body):
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name) and statement.value):
            continue
        (_, heading) = max((number, line) for number, line in headings.items() if number < statement.lineno)
        sentence = ast.literal_eval(below.value) if isinstance(below, ast.Expr) else ""
        yield Limit(heading.strip("# -"), statement.target.id, ast.unparse(statement.value), " ".join(sentence.split()))


def limit_tables() -> str:
    """List every limit, a table for each section."""
    found = list(limits())
    parts = []
    for section in dict.fromkeys(limit.section for limit in found):
        rows = [(f"`{each.name}`", f"`{each.value}`", each.sentence) for each in found if each.section == section]
        parts.append(f"**{section[0].upper()}{section[1:]}**\n\n" + table(("name", "value", "reason"), rows))
    return "\n".join(parts)


def error_codes() -> str:
    """List every code a person can meet."""
    rows = [(f"`{code}`", entry.title, str(int(entry.exit_code)), entry.action) for code, entry in CATALOG.items()]
    return table(("code", "what", "exit", "what to do"), rows)


def path_reasons() -> str:
    """List why a session may use the path it uses."""
    rows = [(f"`{reason}`", meaning.cause, meaning.action) for reason, meaning in REASONS.items()]
    return table(("code", "why", "what to do"), rows)


def settings(schema: type[Any]) -> str:
    """List the keys of a configuration."""
    rows: list[tuple[str, ...]] = []
    for name, part in sections_of(schema).items():
        options = {name: part} if isinstance(part, Option) else {f"{name}.{key}": o for key, o in part.options.items()}
        rows += [(f"`{key}`", f"`{json.dumps(each.default)}`", each.help) for key, each in options.items()]
    return table(("key", "default", "what"), rows)


def commands(group: click.Group) -> str:
    """List the commands of a program with their first sentence."""
    rows = [(f"`{name}`", each.get_short_help_str(limit=200)) for name, each in sorted(group.commands.items())]
    return table(("command", "what it does"), rows)


def figures() -> str:
    """List what Prometheus is told, and by which program."""
    rows = []
    for metric in dict.fromkeys((*metrics.SERVER, *metrics.RELAY)):
        who = [name for name, told in (("server", metrics.SERVER), ("relay", metrics.RELAY)) if metric in told]
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append((f"`{metric.name}`", metric.kind.value, labels, ", ".join(who), metric.help))
    return table(("name", "kind", "labels", "of", "what"), rows)


MAKERS: Final[dict[str, Callable[[], str]]] = {
    **{f"layout {name}": partial(layout, name) for name in LAYOUTS},
    "frames": frames,
    "close codes": close_codes,
    "session states": session_states,
    "rekeying states": rekeying_states,
    "porting states": porting_states,
    "mapper states": mapper_states,
    "floors": floors,
    "limits": limit_tables,
    "error codes": error_codes,
    "path reasons": path_reasons,
    "server commands": partial(commands, server_commands),
    "client commands": partial(commands, client_commands),
    "server settings": partial(settings, ServerSettings),
    "client settings": partial(settings, ClientSettings),
    "relay settings": partial(settings, RelaySettings),
    "metrics": figures,
}


def renewed(text: str) -> str:
    """Return a document with every marked part made anew."""
    return MARKED.sub(lambda match: f"{match[1]}\n{MAKERS[match['name']]()}\n{match[3]}", text)


def main() -> int:
    """Renew the documents, or with --check name those that are out of date."""
    stale = []
    for path in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        if (new := renewed(text)) != text:
            stale.append(path.relative_to(CHECKOUT).as_posix())
            if "--check" not in sys.argv:
                path.write_text(new, encoding="utf-8")
    for name in stale:
        print(f"{'out of date' if '--check' in sys.argv else 'written'}: {name}")
    return int(bool(stale) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
