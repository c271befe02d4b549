"""``clawchat-server relay doctor``: everything a relay needs, looked at one by one, whether it is running or not."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from clawchat.nat.scope import is_loopback, is_public
from clawchat.net import files
from clawchat.net.doctor.checks import attempted, failed, passed, skipped, tell
from clawchat.net.doctor.machine import container_check, socket_checks
from clawchat.net.interfaces import host_addresses
from clawchat.net.user_events import Check
from clawchat.values.address import Address
from clawchat.values.catalog import ExitCode
from server.doctor import clock_check, directory_check, file_checks, server_checks
from server.home import Home
from server.relay_settings import RelaySettings


def examine(home: Home, settings: RelaySettings, *, as_json: bool) -> ExitCode:
    """Look at everything and tell. Raises PersonalError (CC-DOCTOR) when something is not in order."""
    start = "Start it: `clawchat-server relay`."
    checks = [directory_check(home, start), clock_check(home, now=time.time())]
    if home.bootstrap_key.exists():
        checks.append(attempted("bootstrap key", lambda: _loaded(home)))
        checks += file_checks(home, files.load_bootstrap(home.bootstrap_key) if checks[-1].outcome == "pass" else None)
    status, of_relay = server_checks(home, name="relay", start=start)
    checks += of_relay
    if status is not None:
        checks += [reach_check(status, settings), load_check(status, settings)]
    checks += [container_check(host_addresses()), *socket_checks()]
    return tell(checks, as_json=as_json)


def _loaded(home: Home) -> str:
    files.load_bootstrap(home.bootstrap_key)
    return str(home.bootstrap_key)


def reach_check(status: Mapping[str, Any], settings: RelaySettings) -> Check:
    """Look whether others can reach what relay.sec tells them."""
    told = [Address.parse(each) for each in status["candidates"]]
    shown = ", ".join(map(str, told))
    if told and all(is_loopback(each.host) for each in told):
        return skipped("reachable", f"the relay is for this machine alone: {shown}")
    if settings.networking.public_address is None and not any(is_public(each.host) for each in told):
        return failed(
            "reachable",
            f"only from this network: relay.sec names {shown or 'no address'}",
            "Set networking.public_address in relay.yaml, and map the UDP port to this machine.",
        )
    return passed("reachable", f"relay.sec names {shown}")


def load_check(status: Mapping[str, Any], settings: RelaySettings) -> Check:
    """Look whether members are turned away or slowed down."""
    members, most = status["members"], settings.quota.sessions
    if members >= most:
        return failed("members", f"{members} of {most}: others are turned away", "Raise quota.sessions in relay.yaml.")
    if status["over_quota"]:
        return passed("members", f"{members} of {most}; {status['over_quota']} datagrams were over quota.megabits")
    return passed("members", f"{members} of {most}, none over quota")
