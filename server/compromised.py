"""The command that destroys a server's keys: ask, have it done, and say what is to be carried over by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import click

from clawchat.net import control
from clawchat.values.errors import PersonalError
from server import show
from server.bootstrap import START_AGAIN, write_key
from server.home import DirectoryLock, Home
from server.keeper import destroy_files
from server.logs import Log
from server.settings import PASSPHRASE, Settings

WORD: Final = "YES"
TIMEOUT: Final = 30.0


def ask(session: int | None) -> None:
    """Let a person type YES. Raises PersonalError (CC-USAGE) for anything else."""
    what = "every session, key, credential and security file of this server" if session is None else "that session"
    click.echo(f"This destroys {what}, here and at the clients. It can't be undone.", err=True)
    typed = click.prompt(f"Type {WORD} to do it", default="", show_default=False, err=True)
    if typed.strip() != WORD:
        raise PersonalError("CC-USAGE", "nothing was destroyed", f"Type {WORD}, or give `--yes`.")


def destroy(home: Home, settings: Settings, session: int | None) -> Mapping[str, Any]:
    """Have the running server do it; without one, destroy what lies on the disk. Raises PersonalError."""
    lock = DirectoryLock(home)
    try:
        lock.take()
    except PersonalError:
        return control.call(home.control, "compromised", timeout=TIMEOUT, session=session)
    try:
        if session is not None:
            raise PersonalError("CC-NOT-RUNNING", "no server runs here, so there is no session")
        destroy_files(home, settings, Log())
        key = None if settings.security.bootstrap == PASSPHRASE else write_key(home)
        return {"bootstrap_key": None if key is None else str(home.bootstrap_key), "file": None, "seconds": 0}
    finally:
        lock.release()


def what_to_carry(answer: Mapping[str, Any]) -> str:
    """Say what is new, and what a person has to do with it."""
    lines = ["Everything was destroyed. Nobody can join or come back by anything from before."]
    if answer["bootstrap_key"] is None:
        return "\n".join([*lines, START_AGAIN])
    lines += [
        "Carry over by hand, on two different ways:",
        f"  1. the new bootstrap key:  {answer['bootstrap_key']}",
        "     to everybody, in place of the old one;",
    ]
    if answer["file"] is None:
        return "\n".join([*lines, "  2. a new security file: start the server, it makes one."])
    lines += [
        f"  2. a new security file:    {answer['file']}",
        f"     to one person within {show.span(answer['seconds'])}; for each of the others:",
        "     `clawchat-server invite --name NAME`.",
    ]
    return "\n".join(lines)
