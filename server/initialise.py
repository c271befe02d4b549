"""Set a server up: its configuration, its security directory, and what security files are sealed with."""

from __future__ import annotations

import pathlib

from clawchat.net import files
from clawchat.net.config_schema import document
from clawchat.values.errors import PersonalError
from server import bootstrap
from server.home import SECURITY_NAME, Home, configuration_file, usual_security
from server.settings import HEADING, KEY_FILE, PASSPHRASE, Settings


def initialise(directory: pathlib.Path | None, *, passphrase: bool, passphrase_file: pathlib.Path | None) -> Home:
    """Write everything a server needs before its first run; what is there already is kept.

    Raises PersonalError: CC-REFUSED when there is a configuration already, or what kept a file from being written.
    """
    home = Home(configuration_file(directory, None), usual_security(directory))
    if home.configuration.exists():
        cause = f"there is a configuration already: {home.configuration}"
        raise PersonalError(
            "CC-REFUSED", cause, "Start the server with `clawchat-server run`, or remove the file first."
        )
    files.private_directory(home.security)
    if passphrase or passphrase_file is not None:
        bootstrap.remember_passphrase(home, bootstrap.new_passphrase(passphrase_file))
    elif not home.bootstrap_key.exists():
        bootstrap.write_key(home)
    overrides: dict[str, object] = {
        "security.bootstrap": PASSPHRASE if passphrase or passphrase_file is not None else KEY_FILE,
        # beside the file, the directory is named relative to it, so that both can be moved together
        "security.directory": SECURITY_NAME if directory is not None else None,
    }
    home.configuration.parent.mkdir(parents=True, exist_ok=True)
    files.write_private(home.configuration, document(Settings, overrides, heading=HEADING).encode())
    return home


def next_steps(home: Home, directory: pathlib.Path | None, *, key_file: bool) -> str:
    """Say what to do after ``init``."""
    where = f" --directory {directory}" if directory is not None else ""
    sealed_with = (
        f"  2. Give people the bootstrap key once, on another way than the security files:\n"
        f"       clawchat-server bootstrap{where}     (it is {home.bootstrap_key})\n"
        if key_file
        else "  2. Tell people the passphrase once, on another way than the security files.\n"
    )
    return (
        f"The server is set up: {home.configuration}\n"
        f"  1. Start it:\n"
        f"       clawchat-server run{where}\n"
        f"{sealed_with}"
        f"  3. Give one person {home.security_file('default')}\n"
        f"     within its 11 minutes; they join with `clawchat connect default.sec`.\n"
        f"     For more people: clawchat-server invite{where} --name NAME\n"
    )
