"""Run the relay, and answer its operator over the control socket."""

from __future__ import annotations

import contextlib
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any, Final

from clawchat.crypto.keylog import KeyLog
from clawchat.net.config import load
from clawchat.net.control import Channel
from clawchat.net.hardening import keep_memory_private
from clawchat.net.loop import run as run_loop
from clawchat.net.paths import places
from clawchat.values.errors import ConfigError, PersonalError
from server import logs
from server.home import SECURITY_NAME, DirectoryLock, Home
from server.relay_program import RelayProgram
from server.relay_settings import RelaySettings
from server.requests import MILLISECONDS, Answer, Handler
from server.run import open_keylog, serve

CONFIGURATION_NAME: Final = "relay.yaml"


def open_relay_home(
    directory: pathlib.Path | None, config: pathlib.Path | None, flags: Mapping[str, object] | None = None
) -> tuple[Home, RelaySettings]:
    """Read the configuration of a relay, and find its files. Raises ConfigError and PersonalError."""
    if directory is not None and config is not None:
        raise PersonalError("CC-USAGE", "both --directory and --config were given", "Give one of them.")
    usual = places("server")
    if directory is not None:
        file, security = directory.absolute() / CONFIGURATION_NAME, directory.absolute() / SECURITY_NAME
    else:
        file, security = usual.configuration_file.with_name(CONFIGURATION_NAME), usual.state / "relay"
    if config is not None and not config.exists():
        raise ConfigError("there is no such file", "A relay needs none; leave it out.", file=str(config))
    settings = load(RelaySettings, config.absolute() if config is not None else file, flags=flags).value
    return Home(file, settings.security.directory or security), settings


def run(home: Home, settings: RelaySettings, keylog_file: pathlib.Path | None = None) -> None:
    """Run the relay until it is told to stop. Raises PersonalError when it can't start."""
    keep_memory_private()
    logs.set_up(settings.logging.level, settings.logging.format)
    lock = DirectoryLock(home)
    lock.take()
    try:
        with contextlib.ExitStack() as stack:
            keylog = None if keylog_file is None else open_keylog(keylog_file, stack)
            run_loop(_run(home, settings, keylog))
    finally:
        lock.release()


async def _run(home: Home, settings: RelaySettings, keylog: KeyLog | None) -> None:
    log = logs.Log()
    program = RelayProgram(home, settings, log, keylog=keylog)
    await serve(program, home.control, RelayRequests(program).handlers, log)


class RelayRequests:
    """Answer the requests; ``handlers`` is what the control socket is given."""

    def __init__(self, program: RelayProgram) -> None:
        self._program = program
        self.handlers: dict[str, Handler] = {
            "status": self._status,
            "health": self._health,
            "metrics": self._metrics,
        }

    async def _status(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        program = self._program
        credential = program.slots.slots[-1].credential
        return {
            "relay": program.settings.relay.id,
            "pid": os.getpid(),
            "uptime_seconds": round(time.time() - program.started_at),
            "port": str(program.port),
            "candidates": [str(address) for address in credential.candidates],
            "file": str(program.slots.file),
            "seconds": round(credential.valid_until - time.time()),
            **program.hub.figures()._asdict(),
            "websocket": program.websocket.status(),
            "drops": dict(sorted(program.endpoint.drops.items())),
            "loop_lag_ms": round(program.node.lag * MILLISECONDS, 3),
        }

    async def _health(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        return (await self._program.health()).answer()

    async def _metrics(self, _request: Mapping[str, Any], _channel: Channel) -> Answer:
        await self._program.refresh_meters()
        return {"text": self._program.meters.board.text().decode()}
