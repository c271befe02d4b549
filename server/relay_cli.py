"""The commands of ``clawchat-server relay``."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from clawchat.net import control
from server.home import Home

F = TypeVar("F", bound=Callable[..., Any])
PATH: Final = click.Path(path_type=pathlib.Path)
# The self-test waits for five datagrams at worst.
HEALTH_TIMEOUT: Final = 5.0


def which_relay(command: F) -> F:
    """Add the options that say which relay is meant."""
    command = click.option("--config", type=PATH, help="The configuration file, relay.yaml.")(command)
    return click.option("--directory", type=PATH, help="Keep secrets, and relay.yaml if there is one, here.")(command)


as_json = click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")


@click.group(invoke_without_command=True)
@which_relay
@click.option("--ip", help="Listen on this address.")
@click.option("--port", type=int, help="Listen on this UDP port; without it, on a random one, and on that ever after.")
@click.option("--websocket-port", type=int, help="Take WebSockets on this TCP port, for networks without UDP.")
@click.option("--public-address", help="The address everybody reaches this relay at, if it isn't this machine's own.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="How much to log.")
@click.option("--keylog", type=PATH, help="DANGER: write the keys of members' sessions with the relay to this file.")
@click.pass_context
def relay(  # noqa: PLR0913 - one parameter an option
    context: click.Context,
    directory: pathlib.Path | None,
    config: pathlib.Path | None,
    ip: str | None,
    port: int | None,
    websocket_port: int | None,
    public_address: str | None,
    log_level: str | None,
    keylog: pathlib.Path | None,
) -> None:
    """Run a relay until SIGTERM or Ctrl-C, or ask a running one how it is.

    A relay passes sealed datagrams on for servers and clients that have no direct path to each other. It can't
    read them. The first start writes relay.sec and its key; whoever has both may use the relay: name the copy on a
    server in networking.relays of server.yaml.
    """
    context.obj = directory, config
    if context.invoked_subcommand is not None:
        return
    from server import relay_run

    flags: dict[str, object] = {
        "relay.ip": ip,
        "relay.port": port,
        "websocket.port": websocket_port,
        "networking.public_address": public_address,
        "logging.level": log_level,
    }
    relay_run.run(*relay_run.open_relay_home(directory, config, flags), keylog)


@relay.command()
@which_relay
@as_json
@click.pass_obj
def status(
    given: tuple[pathlib.Path | None, pathlib.Path | None],
    directory: pathlib.Path | None,
    config: pathlib.Path | None,
    *,
    as_json: bool,
) -> None:
    """Show who uses the running relay, and how much."""
    from server import show

    answer = control.call(_home(directory or given[0], config or given[1]).control, "status")
    (show.as_json if as_json else show.relay_status)(answer)


@relay.command()
@which_relay
@as_json
@click.pass_obj
def health(
    given: tuple[pathlib.Path | None, pathlib.Path | None],
    directory: pathlib.Path | None,
    config: pathlib.Path | None,
    *,
    as_json: bool,
) -> None:
    """Test the running relay through its own socket; exit 0 only when everything works."""
    from server import show

    home = _home(directory or given[0], config or given[1])
    show.health(control.call(home.control, "health", timeout=HEALTH_TIMEOUT), as_json=as_json)


@relay.command()
@which_relay
@as_json
@click.pass_obj
def doctor(
    given: tuple[pathlib.Path | None, pathlib.Path | None],
    directory: pathlib.Path | None,
    config: pathlib.Path | None,
    *,
    as_json: bool,
) -> int:
    """Look at everything that a relay needs, and say for each thing that is wrong what to do."""
    from server.relay_doctor import examine
    from server.relay_run import open_relay_home

    return examine(*open_relay_home(directory or given[0], config or given[1]), as_json=as_json)


@relay.command()
@which_relay
@click.pass_obj
def metrics(
    given: tuple[pathlib.Path | None, pathlib.Path | None], directory: pathlib.Path | None, config: pathlib.Path | None
) -> None:
    """Print the running relay's figures as Prometheus reads them."""
    home = _home(directory or given[0], config or given[1])
    print(control.call(home.control, "metrics", timeout=HEALTH_TIMEOUT)["text"], end="")


def _home(directory: pathlib.Path | None, config: pathlib.Path | None) -> Home:
    from server.relay_run import open_relay_home

    return open_relay_home(directory, config)[0]
