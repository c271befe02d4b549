"""``clawchat doctor``: everything a client needs, looked at one by one; traffic goes only where files lead."""

from __future__ import annotations

import asyncio
import os
import pathlib
import stat
import time
from collections.abc import Iterable, Sequence

from clawchat.crypto.credential import Credential
from clawchat.crypto.relay_text import read_relay
from clawchat.nat.scope import is_loopback
from clawchat.net.doctor.checks import attempted, failed, passed, skipped, tell
from clawchat.net.doctor.egress import egress_check, relay_checks
from clawchat.net.doctor.machine import container_check, mtu_check, socket_checks
from clawchat.net.doctor.neighbours import dark_check
from clawchat.net.doctor.network import network_checks
from clawchat.net.interfaces import host_addresses
from clawchat.net.loop import run
from clawchat.net.netcheck import look, summarise
from clawchat.net.paths import Places, places
from clawchat.net.report import action, personal
from clawchat.net.user_events import Check
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError
from client.diagnosis import CLOCK_TOLERANCE, diagnose
from client.opening import Opener
from client.request import settings_of, terminal_prompt
from client.settings import Settings


def examine(
    what: str | None,
    key_file: pathlib.Path | None,
    passphrase_file: pathlib.Path | None,
    config: pathlib.Path | None,
    *,
    as_json: bool,
) -> ExitCode:
    """Look at everything and tell. Raises PersonalError (CC-DOCTOR) when something is not in order."""
    found = places("client")
    settings = Settings()

    def configure() -> str:
        nonlocal settings
        settings = settings_of(found, config, {}).value
        file = config or found.configuration_file
        return str(file) if file.exists() else f"the defaults; there is no {file}"

    checks = [attempted("configuration", configure), directory_check(found)]
    credential, of_file = file_checks(what, key_file or settings.client.key_file, passphrase_file, found)
    checks += of_file
    checks += run(_network(credential, settings))
    checks += socket_checks()
    return tell(checks, as_json=as_json)


def directory_check(found: Places) -> Check:
    """Look whether others can enter what this program keeps."""
    open_ones = [place for place in (found.state, found.runtime) if os.name == "posix" and _is_open(place)]
    if open_ones:
        shown = ", ".join(map(str, open_ones))
        return failed("directories", f"other users can enter {shown}", f"chmod 700 {shown}", "CC-FILE-MODE")
    return passed("directories", f"{found.state} and {found.runtime} are for this user alone")


def _is_open(place: pathlib.Path) -> bool:
    return place.exists() and bool(place.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def file_checks(
    what: str | None, key_file: pathlib.Path | None, passphrase_file: pathlib.Path | None, found: Places
) -> tuple[Credential | None, list[Check]]:
    """Open a security file as `connect` does, but say what its time has come to instead of refusing it."""
    if what is None:
        return None, [skipped("security file", "none was given", "clawchat doctor FILE.sec")]
    opener = Opener(found, key_file, passphrase_file, terminal_prompt(), ignore_clock=True)
    try:
        credential = opener.open(what, now_unix=time.time()).credential
    except (PersonalError, OSError) as error:
        told = personal(error)
        return None, [failed("security file", told.cause, action(told), told.code)]
    opened = passed("security file", f"{what} can be read by this user alone, opens, and was not used here")
    return credential, [opened, validity_check(credential, now=time.time()), clock_check(credential, now=time.time())]


def validity_check(credential: Credential, *, now: float) -> Check:
    """Look whether a credential's time is over."""
    left = credential.valid_until - now
    if left <= 0:
        return failed(
            "validity",
            f"it expired {-left:.0f} s ago by this clock",
            "Ask the operator for a new file.",
            "CC-FILE-EXPIRED",
        )
    return passed("validity", f"{left:.0f} s are left")


def clock_check(credential: Credential, *, now: float) -> Check:
    """Look whether this clock can be right: nothing was made in the future."""
    early = credential.timestamp - now
    if early > CLOCK_TOLERANCE:
        return failed("clock", f"this clock is {early:.0f} s behind the server's", "Set the clock.")
    return passed("clock", "the file was made in the past, as it should be")


async def _network(credential: Credential | None, settings: Settings) -> list[Check]:
    """Look at the network, everything at once."""
    own = host_addresses()
    servers = list(credential.candidates) if credential is not None else []
    relays = [read_relay(text) for text in credential.relays] if credential is not None else []
    networking = settings.networking
    seen, of_relays, egress, dark = await asyncio.gather(
        look(networking.stun_servers, port_mapping=networking.port_mapping),
        relay_checks(relays),
        egress_check(servers),
        dark_check(servers, own) if servers else _nothing_to_look_at(),
    )
    return [
        *_towards(credential, own),
        egress,
        *of_relays,
        *network_checks(summarise(seen), port_mapping=networking.port_mapping),
        mtu_check([*servers, *(each for relay in relays for each in relay.candidates)]),
        container_check(seen.hosts),
        dark,
    ]


async def _nothing_to_look_at() -> Check:
    return skipped("dark port", "without a security file no server is known")


def _towards(credential: Credential | None, own: Sequence[str]) -> Iterable[Check]:
    """Say whether the server's addresses make sense from here."""
    if credential is None:
        return
    shown = ", ".join(map(str, credential.candidates)) or "none of its own, by relays only"
    if credential.candidates and all(is_loopback(each.host) for each in credential.candidates):
        yield passed("server address", f"{shown}, on this machine")
        return
    # its time has a check of its own
    findings = diagnose(credential, now_unix=credential.timestamp, own_addresses=own)
    yield from (failed("server address", each.cause, each.action) for each in findings)
    if not findings:
        yield passed("server address", shown)
