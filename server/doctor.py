"""``clawchat-server doctor``: everything a server needs, looked at one by one, whether it is running or not."""

from __future__ import annotations

import asyncio
import functools
import pathlib
import stat
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import MAX_FILE_BYTES, check_fresh, open_file
from clawchat.nat.scope import is_loopback, is_public
from clawchat.net import control, files
from clawchat.net.doctor.checks import attempted, failed, passed, skipped, tell
from clawchat.net.doctor.egress import relay_checks
from clawchat.net.doctor.machine import container_check, mtu_check, socket_checks
from clawchat.net.doctor.neighbours import NAME as DARK_PORT
from clawchat.net.doctor.network import network_checks
from clawchat.net.loop import run
from clawchat.net.netcheck import look, summarise
from clawchat.net.user_events import Check
from clawchat.values.address import Address
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError
from server import bootstrap
from server.home import Home, open_home
from server.relay_cli import HEALTH_TIMEOUT
from server.relays import open_relay_file
from server.settings import PASSPHRASE, Settings

CLOCK_TOLERANCE: Final = 60.0
"""Seconds by which a file may be from the future before the clock is doubted."""

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWOTH


def examine(
    directory: pathlib.Path | None,
    config: pathlib.Path | None,
    passphrase_file: pathlib.Path | None,
    *,
    as_json: bool,
) -> ExitCode:
    """Look at everything and tell. Raises PersonalError: CC-DOCTOR, or what is wrong with the configuration."""
    home, loaded = open_home(directory, config)
    settings = loaded.value
    checks = [configuration_check(home), directory_check(home)]
    key, of_key = key_check(home, settings, passphrase_file)
    checks += [of_key, *file_checks(home, key), clock_check(home, now=time.time())]
    relays, of_relays = relay_file_checks(home, settings, key)
    checks += of_relays
    status, of_server = server_checks(home)
    checks += of_server
    if status is not None:
        checks += [told_check(status, settings), reach_check(status, settings)]
    checks += run(_network(relays, settings))
    checks += [*socket_checks(), mtu_check([address for relay in relays for address in relay.candidates])]
    outside = "only a machine outside can see whether the port stands out"
    checks.append(skipped(DARK_PORT, outside, "Run `clawchat doctor FILE.sec` on another machine."))
    return tell(checks, as_json=as_json)


def configuration_check(home: Home) -> Check:
    """Look whether the configuration is there, and nobody else can change it."""
    file = home.configuration
    if not file.exists():
        return skipped("configuration", f"there is no {file}: everything has its default", "clawchat-server init")
    if file.stat().st_mode & _OTHERS_WRITE:
        return failed("configuration", f"everybody can change {file}", f"chmod o-w {file}", "CC-FILE-MODE")
    return passed("configuration", str(file))


def directory_check(home: Home, mend: str = "clawchat-server init") -> Check:
    """Look whether the security directory is there, and nobody else can enter it."""
    if not home.security.is_dir():
        return failed("directory", f"there is no {home.security}", mend, "CC-FILE-MISSING")
    if home.security.stat().st_mode & _OTHERS:
        return failed("directory", f"others can enter {home.security}", f"chmod 700 {home.security}", "CC-FILE-MODE")
    return passed("directory", f"{home.security} is for this user alone")


def key_check(home: Home, settings: Settings, passphrase_file: pathlib.Path | None) -> tuple[Bootstrap | None, Check]:
    """Load what security files are sealed with."""
    if settings.security.bootstrap == PASSPHRASE and passphrase_file is None:
        return None, skipped("bootstrap key", "the files are sealed with a passphrase", "Give --passphrase-file.")
    key: Bootstrap | None = None

    def load() -> str:
        nonlocal key
        key = bootstrap.load(home, settings, passphrase_file)
        return str(passphrase_file or home.bootstrap_key)

    check = attempted("bootstrap key", load)
    return key, check


def file_checks(home: Home, key: Bootstrap | None) -> Iterator[Check]:
    """Open every security file that waits for somebody."""
    found = sorted(home.security.glob("*.sec"))
    if not found:
        yield skipped("security files", "there is none", "clawchat-server invite --name NAME")
    for path in found:
        yield attempted(path.name, functools.partial(_opened, path, key))


def _opened(path: pathlib.Path, key: Bootstrap | None) -> str:
    data = files.read_private(path, MAX_FILE_BYTES)
    if key is None:
        return "this user alone can read it"
    credential = open_file(data, key)
    if (expired := check_fresh(credential, time.time())) is not None:
        raise PersonalError(expired.code, expired.cause, "Start the server, which replaces it; or remove it.")
    return f"opens, and is good for {credential.valid_until - time.time():.0f} s"


def clock_check(home: Home, *, now: float) -> Check:
    """Look whether this clock can be right: no file is from the future."""
    newest = max((path.stat().st_mtime for path in home.security.glob("*")), default=now)
    if newest - now > CLOCK_TOLERANCE:
        return failed("clock", f"a file here was written {newest - now:.0f} s in the future", "Set the clock.")
    return passed("clock", "no file is from the future")


def relay_file_checks(home: Home, settings: Settings, key: Bootstrap | None) -> tuple[list[Credential], list[Check]]:
    """Open the files of the relays that the configuration names."""
    relays: list[Credential] = []
    checks: list[Check] = []
    if key is None:
        return relays, checks

    def load(path: str) -> str:
        relay = open_relay_file(home.configuration.parent / path, key)
        if (expired := check_fresh(relay, time.time())) is not None:
            raise expired
        relays.append(relay)
        return f"{relay.name} at {', '.join(map(str, relay.candidates))}"

    checks = [attempted(f"relay {path}", functools.partial(load, path)) for path in settings.networking.relays]
    return relays, checks


def server_checks(
    home: Home, *, name: str = "server", start: str = "Start it: `clawchat-server run`."
) -> tuple[Mapping[str, Any] | None, list[Check]]:
    """Ask the running program how it is."""
    try:
        status = control.call(home.control, "status")
        health = control.call(home.control, "health", timeout=HEALTH_TIMEOUT)
    except PersonalError as error:
        return None, [failed(name, error.cause, start, error.code)]
    checks = [passed(name, f"runs as process {status['pid']} on {status['port']}")]
    if health["healthy"]:
        checks.append(passed("health", "the loop turns, a datagram comes through, and somebody can join"))
    else:
        wrong = ", ".join(key for key, value in health.items() if value in (False, []) and key != "healthy")
        checks.append(failed("health", f"not well: {wrong}", "Ask `health`, which says more.", "CC-UNHEALTHY"))
    if status.get("keylog"):
        checks.append(failed("key log", "every key is being written to a file", "Run the server without --keylog."))
    return status, checks


def told_check(status: Mapping[str, Any], settings: Settings) -> Check:
    """Look whether clients are told the port that the server has; a container's proxy or a NAT may change it."""
    bound = Address.parse(status["port"])
    told = [Address.parse(each) for each in status["candidates"]]
    other = sorted({str(each) for each in told if each.port != bound.port})
    if not other or settings.networking.public_address is not None or status["port_mapping"].startswith(other[0]):
        return passed("port told", f"clients are told {', '.join(map(str, told)) or 'no address'}")
    return failed(
        "port told",
        f"the server has port {bound.port}, and from outside it is {', '.join(other)}",
        "In a container use the host's network; else map the port at the router, or use a relay.",
    )


def reach_check(status: Mapping[str, Any], settings: Settings) -> Check:
    """Look whether anybody outside this network can begin."""
    told = [Address.parse(each).host for each in status["candidates"]]
    joined = [relay["name"] for relay in status["relays"] if relay["joined"]]
    if public := [host for host in told if is_public(host)]:
        return passed("reachable", f"at {', '.join(public)}" + (f", and by {', '.join(joined)}" if joined else ""))
    if joined:
        return passed("reachable", f"by {', '.join(joined)}")
    if settings.networking.drop is not None:
        return passed("reachable", f"by the drop folder {settings.networking.drop}")
    if told and all(map(is_loopback, told)):
        return skipped("reachable", "the server is for this machine alone")
    return failed(
        "reachable",
        "only from this network: no public address, no mapped port, no relay, no drop folder",
        "Map the UDP port at the router and set networking.public_address, or name a relay in networking.relays.",
    )


async def _network(relays: list[Credential], settings: Settings) -> list[Check]:
    """Look at the network, everything at once."""
    networking = settings.networking
    seen, of_relays = await asyncio.gather(
        look(networking.stun_servers, port_mapping=networking.port_mapping), relay_checks(relays)
    )
    return [
        *of_relays,
        *network_checks(summarise(seen), port_mapping=networking.port_mapping),
        container_check(seen.hosts),
    ]
