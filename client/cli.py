"""The commands of ``clawchat``: human text goes to standard error, data to standard output."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, Final

import click

from clawchat.net.command_line import SHELLS, completion_script, run_command_line, version
from clawchat.values.errors import PersonalError
from client.options import PATH, as_json, config_option, opening_options, patience_option

PROGRAM: Final = "clawchat"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version())
def cli() -> None:
    """Reach a dark server with one small security file, and chat.

    \b
    clawchat connect home.sec             chat in this terminal
    echo hi | clawchat connect home.sec   say something from a script
    clawchat connect home                 come back later, without a file
    """  # noqa: D301 - the control character itself is click's mark for lines to be kept


@cli.command()
@opening_options
@click.option("--name", help="What you are called in the chat; your login name without it.")
@click.option("--room", help="The room to talk in.  [default: lobby]")
@as_json
@click.option("--linger", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait at most this long for receipts.")
@click.option("--listen", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Then listen this long.")
@patience_option
def connect(
    name: str | None,
    room: str | None,
    linger: float | None,
    listen: float,
    *,
    as_json: bool,
    **shared: Any,  # noqa: ANN401 - click hands over what the shared options are set to
) -> int:
    """Connect to a server and chat.

    In a terminal, type: a line is said to the room, /help lists the commands. In a pipe, each line of standard
    input is said; at its end the program waits until all of it has arrived, and ends. With --json, events come
    as lines of JSON, and a line of input may be {"text": "hi", "room": "lobby"}, {"text": "hi", "to": "ann"} or
    {"command": "who"}.
    """
    from clawchat.net.loop import run
    from client.connect import converse
    from client.request import Request
    from client.screen import make_screen

    patience = shared.pop("patience")
    interactive = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    plan = Request(**shared).plan(name=name, room=room).with_patience(patience, interactive=interactive)
    return run(
        converse(plan, lambda: make_screen(interactive=interactive, as_json=as_json, linger=linger, listen=listen))
    )


@cli.command()
@opening_options
@click.option("-o", "hello", type=PATH, default="hello.claw", show_default=True, help="The file to take to the server.")
@click.option("-i", "welcome", type=PATH, help="Where its answer will be.  [default: welcome.claw beside it]")
@click.option("--name", help="What you are called in the chat; your login name without it.")
@click.option("--room", help="The room to talk in.  [default: lobby]")
@patience_option
@as_json
def offer(
    hello: pathlib.Path,
    welcome: pathlib.Path | None,
    name: str | None,
    room: str | None,
    *,
    as_json: bool,
    **shared: Any,  # noqa: ANN401 - as above
) -> int:
    """Connect by two files that are carried by hand, and chat.

    This writes hello.claw and waits. Have `clawchat-server answer hello.claw -o welcome.claw` run on the server, put
    welcome.claw beside hello.claw, and the session begins. Neither file is of use to anybody else.
    """
    from clawchat.net.carrying import HandPost
    from clawchat.net.loop import run
    from client.connect import converse
    from client.request import Request
    from client.screen import make_screen

    patience = shared.pop("patience")
    request = Request(**shared)
    if request.drop is not None:
        raise PersonalError("CC-USAGE", "`offer` is for files carried by hand", "Use `connect --drop DIRECTORY`.")
    post = HandPost(hello.absolute(), (welcome or hello.with_name("welcome.claw")).absolute())
    interactive = not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    plan = request.plan(name=name, room=room, post=post).with_patience(patience, interactive=interactive)
    return run(converse(plan, lambda: make_screen(interactive=interactive, as_json=as_json, linger=None, listen=0.0)))


@cli.command()
@opening_options
@click.option("-c", "--count", type=click.IntRange(min=1), default=4, show_default=True, help="How many pings.")
@click.option("--interval", type=click.FloatRange(min=0.01), default=1.0, show_default=True, help="Seconds between.")
@click.option("--until-direct", is_flag=True, help="Go on until no relay is needed; exit 6 if that takes too long.")
@as_json
def ping(count: int, interval: float, *, until_direct: bool, as_json: bool, **shared: Any) -> int:  # noqa: ANN401 - as above
    """Measure the round trip to a server.

    Without a file, a running `clawchat connect` of yours measures it. With one, this connects by itself, and
    that uses the file up: it serves once.
    """
    from client.ping import Series, ping_through_running, ping_with_plan
    from client.request import Request

    request = Request(**shared)
    if request.what is None and request.file is None:
        series = Series(count, interval, request.settings().networking.hole_punch_timeout if until_direct else None)
        return ping_through_running(series, as_json=as_json)
    plan = request.plan()
    return ping_with_plan(plan, Series(count, interval, plan.timeout if until_direct else None), as_json=as_json)


@cli.command()
@as_json
def status(*, as_json: bool) -> None:
    """Show the sessions of the clients that run as this user."""
    import time

    from clawchat.net.events_json import encode
    from clawchat.net.paths import places
    from client.render import MARK, describe, plain
    from client.running import none_running, running_clients

    found = running_clients(places("client").runtime)
    if not found:
        raise none_running()
    for _, event in found:
        print(encode(event, time=time.time()) if as_json else plain(describe(event) or []).removeprefix(MARK))


@cli.command()
@config_option
@click.option("--stun", multiple=True, metavar="HOST[:PORT]", help="Ask this STUN server; may be given several times.")
@click.option("--port-mapping/--no-port-mapping", default=None, help="Try to map a port at the router.  [default: try]")
@as_json
def netcheck(config: pathlib.Path | None, stun: tuple[str, ...], *, port_mapping: bool | None, as_json: bool) -> int:
    """Find out what the network does to direct paths: addresses, NAT, router, firewall.

    Only the router and the STUN servers that you name are asked, here or under networking.stun_servers in
    client.yaml. Two servers at least are needed to judge a NAT, or one that has two addresses.
    """
    from client.netcheck import check_network

    return check_network(config, stun, port_mapping=port_mapping, as_json=as_json)


@cli.command()
@click.argument("what", metavar="[FILE.sec|SERVER]", required=False)
@click.option("--key-file", type=PATH, help="The server's bootstrap key, which opens the file.")
@click.option("--passphrase-file", type=PATH, help="Read the passphrase from the first line of this file.")
@config_option
@as_json
def doctor(
    what: str | None,
    key_file: pathlib.Path | None,
    passphrase_file: pathlib.Path | None,
    config: pathlib.Path | None,
    *,
    as_json: bool,
) -> int:
    """Look at everything that a connection needs, and say for each thing that is wrong what to do.

    Each line begins with PASS, FAIL, or SKIP for what can't be looked at from here. Datagrams go only to the server
    and the relays that the security file names, to the router, and to the STUN servers that client.yaml names. The
    file is not used up.
    """
    from client.doctor import examine

    return examine(what, key_file, passphrase_file, config, as_json=as_json)


@cli.command("explain")
@click.argument("code", required=False)
def explain_code(code: str | None) -> None:
    """Explain an error code, or why a path is used; without a code, list all of them."""
    from clawchat.nat.reasons import REASONS
    from clawchat.net.report import explain
    from clawchat.values.catalog import CATALOG

    if code:
        print(explain(code), end="")
        return
    width = max(map(len, CATALOG))
    for each, entry in CATALOG.items():
        print(f"{each:<{width}}  {entry.title}")
    for reason, meaning in REASONS.items():
        print(f"{reason.value:<{width}}  {meaning.cause}")


@cli.command()
def paths() -> None:
    """Print where this program keeps its files."""
    from clawchat.net.paths import places

    rows = places("client").rows()
    width = max(len(name) for name, _ in rows)
    for name, place in rows:
        print(f"{name:<{width}}  {place}")


@cli.group()
def config() -> None:
    """Look at the configuration."""


@config.command("check")
@config_option
@click.argument("file", type=PATH, required=False)
def check(file: pathlib.Path | None, config: pathlib.Path | None) -> None:
    """Check the configuration, and print every key, its value and where that comes from."""
    from clawchat.net.config import as_rows
    from clawchat.net.paths import places
    from client.request import settings_of
    from client.settings import Settings

    found = places("client")
    rows = list(as_rows(Settings, settings_of(found, file or config, {})))
    width = max(len(key) for key, *_ in rows)
    for key, value, source in rows:
        print(f"{key:<{width}}  {'null' if value is None else value}  ({source})")
    if not (file or config or found.configuration_file).exists():
        click.echo(f"There is no {found.configuration_file}; these are the defaults.", err=True)


@config.command("example")
def example() -> None:
    """Print a documented client.yaml with the defaults."""
    from clawchat.net.config_schema import document
    from client.settings import HEADING, Settings

    print(document(Settings, heading=HEADING), end="")


@cli.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completions(shell: str) -> None:
    """Print what a shell reads to complete this program's commands."""
    print(completion_script(cli, PROGRAM, shell))


def main(arguments: list[str] | None = None) -> None:
    """Run a command and end with its exit code."""
    sys.exit(run_command_line(cli, PROGRAM, arguments))
