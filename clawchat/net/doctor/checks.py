"""One check of the doctor, and how all of them are told: a line each for a person, or a line of JSON each."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Final

import click

from clawchat.net.events_json import encode
from clawchat.net.report import action, one_line, personal
from clawchat.net.user_events import Check
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError

_COLOURS: Final = {"pass": "green", "fail": "red", "skip": "yellow"}
NAME_WIDTH: Final = 16


def passed(name: str, found: str) -> Check:
    """Say that something is in order."""
    return Check(name, "pass", found)


def failed(name: str, found: str, what_to_do: str, code: str | None = None) -> Check:
    """Say that something is not in order, and what to do."""
    return Check(name, "fail", found, what_to_do, code)


def skipped(name: str, found: str, what_to_do: str = "") -> Check:
    """Say why something was not looked at, and how it could be."""
    return Check(name, "skip", found, what_to_do)


def attempted(name: str, work: Callable[[], str]) -> Check:
    """Do what may raise an error for a person; it passes with what is returned."""
    try:
        return passed(name, work())
    except (PersonalError, OSError) as error:
        told = personal(error)
        return failed(name, told.cause, action(told), told.code)


def tell(checks: Sequence[Check], *, as_json: bool) -> ExitCode:
    """Print all checks. Raises PersonalError (CC-DOCTOR) when one of them failed."""
    for check in checks:
        if as_json:
            click.echo(encode(check, time=time.time()))
        else:
            _print(check)
    bad = [check.name for check in checks if check.outcome == "fail"]
    if bad:
        raise PersonalError("CC-DOCTOR", f"{len(bad)} of {len(checks)} checks failed: {', '.join(bad)}")
    return ExitCode.OK


def _print(check: Check) -> None:
    colour = False if os.environ.get("NO_COLOR") else None
    click.secho(f"{check.outcome.upper():<5}", fg=_COLOURS[check.outcome], nl=False, color=colour)
    click.echo(f"{check.name:<{NAME_WIDTH}} {one_line(check.found)}")
    if check.action:
        click.echo(f"{'':<5}{'':<{NAME_WIDTH}} next: {one_line(check.action)}")
