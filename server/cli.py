"""The commands of ``clawchat-server``: human text goes to standard error, data to standard output."""

from __future__ import annotations

import asyncio
import pathlib
import sys
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from clawchat.net import control, files
from clawchat.net.command_line import SHELLS, completion_script, run_command_line, version
from clawchat.net.report import explain
from clawchat.values.errors import PersonalError
from server.home import DirectoryLock, Home, configuration_file, open_home
from server.relay_cli import HEALTH_TIMEOUT, relay

PROGRAM: Final = "clawchat-server"
F = TypeVar("F", bound=Callable[..., Any])
PATH: Final = click.Path(path_type=pathlib.Path)


def which_server(command: F) -> F:
    """Add the options that say which server is meant."""
    command = click.option("--config", type=PATH, help="The configuration file, server.yaml.")(command)
    return click.option("--directory", type=PATH, help="The directory that `init --directory` was given.")(command)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version())
def cli() -> None:
    """Run a ClawChat server: reachable for those who hold a security file, dark for everybody else."""


@cli.command()
@click.option("--directory", type=PATH, help="Keep configuration and secrets here, not in the platform's places.")
@click.option("--passphrase", is_flag=True, help="Seal security files with a passphrase, not with a key file.")
@click.option("--passphrase-file", type=PATH, help="Read the passphrase from the first line of this file.")
def init(directory: pathlib.Path | None, passphrase_file: pathlib.Path | None, *, passphrase: bool) -> None:
    """Set a server up and say what to do next."""
    from server.initialise import initialise, next_steps

    home = initialise(directory, passphrase=passphrase, passphrase_file=passphrase_file)
    print(home.configuration)
    _tell(next_steps(home, directory, key_file=home.bootstrap_key.exists() and not passphrase))


@cli.command()
@which_server
@click.option("--ip", help="Listen on this address.")
@click.option("--port", type=int, help="Listen on this UDP port; without it, on a random one.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log.")
@click.option("--passphrase-file", type=PATH, help="Read the passphrase from the first line of this file.")
@click.option("--keylog", type=PATH, help="DANGER: write every key to this file, to decrypt recorded traffic.")
@click.option("--init", "set_up", is_flag=True, help="Set the server up first, as `init` does, if nobody has yet.")
def run(  # noqa: PLR0913 - one parameter an option
    directory: pathlib.Path | None,
    config: pathlib.Path | None,
    ip: str | None,
    port: int | None,
    log_level: str | None,
    passphrase_file: pathlib.Path | None,
    keylog: pathlib.Path | None,
    *,
    set_up: bool,
) -> None:
    """Run the server until SIGTERM or Ctrl-C; the log goes to standard error."""
    from server import bootstrap
    from server.initialise import initialise
    from server.run import run as run_server

    if set_up and config is None and not configuration_file(directory, None).exists():
        initialise(directory, passphrase=False, passphrase_file=passphrase_file)

    flags: dict[str, object] = {"server.ip": ip, "server.port": port, "logging.level": log_level}
    home, loaded = open_home(directory, config, flags)
    files.private_directory(home.security)
    run_server(home, loaded.value, bootstrap.load(home, loaded.value, passphrase_file), keylog)


@cli.command()
@which_server
@click.option("--name", default="default", show_default=True, help="What to call the person; the file is NAME.sec.")
@click.option("--withdraw", is_flag=True, help="End an invitation that nobody has used.")
@as_json
def invite(
    directory: pathlib.Path | None, config: pathlib.Path | None, name: str, *, withdraw: bool, as_json: bool
) -> None:
    """Make a security file for one more person, and print where it is."""
    from server import show

    home = _home(directory, config)
    answer = control.call(home.control, "withdraw" if withdraw else "invite", name=name)
    if as_json:
        show.as_json(answer)
    elif not withdraw:
        print(answer["file"])
        _tell(f"Valid for {show.span(answer['seconds'])}, for one person; it is renewed until somebody has used it.")


@cli.command()
@which_server
@click.argument("hello", type=PATH)
@click.option("-o", "welcome", type=PATH, default="welcome.claw", show_default=True, help="Write the answer here.")
def answer(
    directory: pathlib.Path | None, config: pathlib.Path | None, hello: pathlib.Path, welcome: pathlib.Path
) -> None:
    """Answer the hello.claw that a person made with `clawchat offer`; take the answer back to them."""
    from server import show
    from server.by_hand import answer_hello

    seconds = answer_hello(_home(directory, config), hello, welcome)
    print(welcome)
    _tell(f"Take it to them within {show.span(seconds)}; it serves only who made {hello.name}.")


@cli.command()
@which_server
@as_json
def status(directory: pathlib.Path | None, config: pathlib.Path | None, *, as_json: bool) -> None:
    """Show how the running server is doing."""
    from server import show

    answer = control.call(_home(directory, config).control, "status")
    (show.as_json if as_json else show.status)(answer)


@cli.command()
@which_server
@click.option("--disconnect", type=int, metavar="SESSION", help="Close this session.")
@as_json
def sessions(
    directory: pathlib.Path | None, config: pathlib.Path | None, disconnect: int | None, *, as_json: bool
) -> None:
    """Show who is connected, with the safety words to compare."""
    from server import show

    home = _home(directory, config)
    if disconnect is not None:
        control.call(home.control, "disconnect", session=disconnect)
        return
    answer = control.call(home.control, "sessions")
    (show.as_json if as_json else show.sessions)(answer)


@cli.command()
@which_server
@click.option("--session", type=int, metavar="SESSION", help="Of this session only.")
def rekey(directory: pathlib.Path | None, config: pathlib.Path | None, session: int | None) -> None:
    """Have the keys of all sessions changed now; they change by themselves every hour."""
    control.call(_home(directory, config).control, "rekey", session=session)


@cli.command()
@which_server
def hop(directory: pathlib.Path | None, config: pathlib.Path | None) -> None:
    """Move to another UDP port now, with every session; the old one hears for a while."""
    control.call(_home(directory, config).control, "hop")


@cli.command()
@which_server
@click.option("--name", help="What you are called in the chat; your login name without it.")
def attach(directory: pathlib.Path | None, config: pathlib.Path | None, name: str | None) -> None:
    """Take part in the chat from this terminal, or from a script by lines."""
    from server.attach import attach as attach_to

    asyncio.run(attach_to(_home(directory, config), name))


@cli.command()
@which_server
@as_json
def health(directory: pathlib.Path | None, config: pathlib.Path | None, *, as_json: bool) -> None:
    """Test the running server through its own socket; exit 0 only when everything works."""
    from server import show

    show.health(control.call(_home(directory, config).control, "health", timeout=HEALTH_TIMEOUT), as_json=as_json)


@cli.command()
@which_server
@click.option("--passphrase-file", type=PATH, help="Read the passphrase from the first line of this file.")
@as_json
def doctor(
    directory: pathlib.Path | None, config: pathlib.Path | None, passphrase_file: pathlib.Path | None, *, as_json: bool
) -> int:
    """Look at everything that a server needs, and say for each thing that is wrong what to do.

    Each line begins with PASS, FAIL, or SKIP for what can't be looked at from here. Datagrams go only to the relays
    and STUN servers that the configuration names, and to the router.
    """
    from server.doctor import examine

    return examine(directory, config, passphrase_file, as_json=as_json)


@cli.command()
@which_server
def metrics(directory: pathlib.Path | None, config: pathlib.Path | None) -> None:
    """Print the running server's figures as Prometheus reads them."""
    answer = control.call(_home(directory, config).control, "metrics", timeout=HEALTH_TIMEOUT)
    print(answer["text"], end="")


@cli.command()
@which_server
@click.option("--reveal", is_flag=True, help="Print the key itself.")
@click.option("--new", is_flag=True, help="Replace the key; every file sealed with the old one is sealed anew.")
def bootstrap(directory: pathlib.Path | None, config: pathlib.Path | None, *, reveal: bool, new: bool) -> None:
    """Show where the bootstrap key is, which opens this server's security files."""
    from clawchat.crypto.bootstrap import KeyFile
    from server import bootstrap as keys
    from server.settings import PASSPHRASE

    home, loaded = open_home(directory, config)
    if loaded.value.security.bootstrap == PASSPHRASE:
        cause = "this server seals its files with a passphrase, which is stored nowhere"
        raise PersonalError(
            "CC-USAGE", cause, "Tell it to people; to have a key file, set `security.bootstrap: key-file`."
        )
    if new:
        _replace_key(home)
    key = keys.load(home, loaded.value, None)
    if not reveal:
        print(home.bootstrap_key)
        _tell("Copy it to the client's machine on another way than the security files, and keep it for yourselves.")
        return
    assert isinstance(key, KeyFile)  # noqa: S101 - the settings say so
    print(key.key.hex())


def _replace_key(home: Home) -> None:
    from server import bootstrap as keys

    lock = DirectoryLock(home)
    try:
        lock.take()
    except PersonalError:
        keys.write_key(home)
        control.call(home.control, "bootstrap")
        return
    try:
        old = files.load_bootstrap(home.bootstrap_key) if home.bootstrap_key.exists() else None
        new = keys.write_key(home)
        if old is not None:
            keys.reseal(home, old, new)
    finally:
        lock.release()


@cli.command()
@which_server
@click.option("--session", type=int, metavar="SESSION", help="Destroy this session only.")
@click.option("--yes", is_flag=True, help="Ask nobody.")
@as_json
def compromised(
    directory: pathlib.Path | None, config: pathlib.Path | None, session: int | None, *, yes: bool, as_json: bool
) -> None:
    """Destroy every key, credential and security file, here and at every client, and begin anew.

    For when keys were stolen, or may have been. Nobody comes back by anything they have; what is new has to be
    carried to everybody by hand. It can't be undone.
    """
    from server import compromised as ending
    from server import show

    home, loaded = open_home(directory, config)
    if not yes:
        ending.ask(session)
    answer = ending.destroy(home, loaded.value, session)
    if as_json:
        show.as_json(answer)
    elif session is None:
        print(ending.what_to_carry(answer))


cli.add_command(relay)


@cli.group()
def config() -> None:
    """Look at the configuration."""


@config.command("check")
@which_server
@as_json
def check(directory: pathlib.Path | None, config: pathlib.Path | None, *, as_json: bool) -> None:
    """Check the configuration and print every key, its value and where that comes from."""
    from clawchat.net.config import as_rows
    from server import show
    from server.settings import Settings, unused

    home, loaded = open_home(directory, config)
    rows = list(as_rows(Settings, loaded))
    if as_json:
        show.as_json(
            [
                {"key": key, "value": value if value is None else str(value), "from": source}
                for key, value, source in rows
            ]
        )
    else:
        show.configuration(rows)
    for key in unused(loaded):
        _tell(f"warning: this version does not use {key}")
    if not home.configuration.exists():
        _tell(f"There is no {home.configuration}; these are the defaults.")


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completions(shell: str) -> None:
    """Print what a shell reads to complete this program's commands."""
    print(completion_script(cli, PROGRAM, shell))


@cli.command("explain")
@click.argument("code")
def explain_code(code: str) -> None:
    """Explain an error code."""
    print(explain(code))


def _home(directory: pathlib.Path | None, config: pathlib.Path | None) -> Home:
    return open_home(directory, config)[0]


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; every failure ends with its code, cause and next action, and its exit code."""
    sys.exit(run_command_line(cli, PROGRAM, arguments))
