"""What commands share: exit codes, options, and how they answer."""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Final

import click

from lab import netns, privilege

EXIT_MISSING: Final = 1
"""Something could not be built or is missing."""
EXIT_USAGE: Final = 2
"""Wrong arguments or a wrong file."""
EXIT_DISHONEST: Final = 3
"""A gateway is not what it claims to be."""
EXIT_UNEXPECTED: Final = 4
"""A pair of NATs did not get the verdict that is expected of it."""
EXIT_CHANGED: Final = 5
"""Two documents of the matrix tell of different verdicts."""
EXIT_REFUTED: Final = 6
"""A capture holds something else than ciphertext."""
EXIT_UNPROVEN: Final = 7
"""Nothing speaks against a capture, and something is missing that the proof takes."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
nat_option = click.option("--nat", "names", help="Comma-separated presets instead of all of them.")


def split(names: str | None) -> list[str]:
    """Return the names of a comma-separated list."""
    return [name.strip() for name in (names or "").split(",") if name.strip()]


def print_json(value: dict[str, Any]) -> None:
    """Print a document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def need_namespaces() -> None:
    """Get the right to make namespaces, or say what is missing."""
    if privilege.needed():
        privilege.restart(sys.argv[1:])
    if missing := netns.available():
        raise click.ClickException(f"namespaces cannot be used here: {missing} is missing")


def need_containers(*, recording: bool = False) -> None:
    """Say what is missing for laboratories of containers, if anything is."""
    from lab.backends.compose import engine

    if missing := engine.missing():
        raise click.ClickException(f"containers cannot be used here: {missing}")
    if recording and os.geteuid() != 0:
        raise click.ClickException("only root may record what passes a container; --no-capture does without")
