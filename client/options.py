"""Options that several commands share; ``client.request`` says what they mean together."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
WAYS: Final = ("auto", "direct", "relay")
PATH: Final = click.Path(path_type=pathlib.Path)
as_json = click.option("--json", "as_json", is_flag=True, help="Print lines of JSON on standard output.")


patience_option = click.option(
    "--patience",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="How long to try to come back when the session is lost.  [default: as long as the server takes us back; "
    "120 in a pipe]",
)


def config_option(command: F) -> F:
    """Add the option that names the configuration file."""
    return click.option("--config", type=PATH, help="The configuration file instead of the usual client.yaml.")(command)


def opening_options(command: F) -> F:
    """Add the options that say which security file is meant and how it is opened."""
    added = (
        click.argument("what", metavar="[FILE.sec|SERVER]", required=False),
        click.option("--file", "file", type=PATH, help="The security file, as the argument."),
        click.option("--key-file", type=PATH, help="The server's bootstrap key, which opens the file."),
        click.option("--passphrase-file", type=PATH, help="Read the passphrase from the first line of this file."),
        click.option(
            "--path",
            type=click.Choice(WAYS),
            help="Go direct only, or by relays only.  [default: auto, whatever works]",
        ),
        click.option("--drop", type=PATH, metavar="DIRECTORY", help="Shake hands by files in this shared directory."),
        click.option("--timeout", type=float, help="Give up after this many seconds without an answer.  [default: 60]"),
        click.option("--ip", help="Use this address of this machine, instead of any."),
        click.option("--port", type=click.IntRange(1, 65535), help="Use this UDP port here, instead of a random one."),
        click.option("--keylog", type=PATH, help="DANGER: write all keys to this file, to read recorded traffic."),
        click.option("--ignore-clock", is_flag=True, help="Try even if the file has expired by this clock."),
        click.option("--ignore-used", is_flag=True, help="Try even if this machine used the file before."),
        click.option("--forget", is_flag=True, help="Keep nothing to come back with."),
        config_option,
    )
    for add in reversed(added):
        command = add(command)
    return command
