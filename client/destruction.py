"""COMPROMISED on a client: what it has of a server is overwritten and removed, in memory and on the disk."""

from __future__ import annotations

import pathlib

from clawchat.net import files
from clawchat.values.errors import Compromised, PersonalError
from client.plan import Plan
from client.returns import KnownServers

EVERYTHING_GONE = "Get the server's new bootstrap key and a new security file from its operator, on two different ways."
SESSION_GONE = "Get a new security file from the operator; the bootstrap key you have still opens it."


def what_to_do(error: Compromised) -> PersonalError:
    """Say how a person gets back in."""
    return PersonalError(error.code, str(error), EVERYTHING_GONE if error.everything else SESSION_GONE)


def destroy(plan: Plan, known: KnownServers, *, everything: bool) -> list[str]:
    """Destroy what brings us back to a server, and with ``everything`` also what first brought us there.

    Return what was destroyed, and after it what could not be.
    """
    opened = plan.opened
    opened.credential.wipe()
    paths = known.forget_for_ever(opened.credential.name)
    if everything:
        opened.bootstrap.wipe()
        paths += [path for path in (opened.file, opened.notes.key_place) if path is not None]
    return list(filter(None, map(_destroy, dict.fromkeys(paths))))


def _destroy(path: pathlib.Path) -> str:
    try:
        return str(path) if files.destroy(path) else ""
    except PersonalError as error:
        return f"NOT {path}: {error.cause}"
