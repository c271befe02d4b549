"""The control socket of a running client, and how other commands find it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Protocol

from clawchat.net.control import SUPPORTED, Channel, ControlServer, call
from clawchat.net.files import private_directory
from clawchat.net.user_events import Notice, PingLost, Pong, Status
from clawchat.values.errors import PersonalError

PREFIX: Final = "client-"
SUFFIX: Final = ".sock"


class Controlled(Protocol):
    """What a control socket needs of the client it belongs to."""

    def status(self) -> Status:
        """Say how the session is doing."""

    async def ping(self, timeout: float) -> Pong | PingLost:
        """Measure one round trip."""


@contextlib.asynccontextmanager
async def control_socket(
    runtime: pathlib.Path, client: Controlled, emit: Callable[[Notice], None]
) -> AsyncIterator[None]:
    """Let ``clawchat status`` and ``clawchat ping`` ask this process while the context lasts, if that can be."""
    if not SUPPORTED:
        yield
        return

    async def status(_request: Mapping[str, Any], _channel: Channel) -> Mapping[str, object]:
        return dataclasses.asdict(client.status())

    async def ping(request: Mapping[str, Any], _channel: Channel) -> Mapping[str, object]:
        timeout = request.get("timeout", 5.0)
        return dataclasses.asdict(await client.ping(float(timeout) if isinstance(timeout, (int, float)) else 5.0))

    server = ControlServer(runtime / f"{PREFIX}{os.getpid()}{SUFFIX}", {"status": status, "ping": ping})
    try:
        private_directory(runtime)
        await server.start()
    except PersonalError as error:
        emit(Notice(f"`clawchat status` will not see this client: {error.cause}"))
    try:
        yield
    finally:
        await server.close()


def running_clients(runtime: pathlib.Path) -> list[tuple[pathlib.Path, Status]]:
    """Ask every client of this user how it is doing, the newest last; sockets nobody answers at are removed."""
    found: list[tuple[pathlib.Path, Status]] = []
    for path in sorted(runtime.glob(f"{PREFIX}*{SUFFIX}"), key=_age):
        try:
            found.append((path, Status(**call(path, "status"))))
        except PersonalError as error:
            if error.code == "CC-NOT-RUNNING" and not _alive(path):
                path.unlink(missing_ok=True)
        except TypeError:
            continue  # a client of another version
    return found


def ping_running(path: pathlib.Path, *, timeout: float) -> Pong | PingLost:
    """Let a running client measure one round trip."""
    answer = call(path, "ping", timeout=timeout + 1)
    return Pong(**answer) if "rtt_ms" in answer else PingLost(**answer)


def _age(path: pathlib.Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _alive(path: pathlib.Path) -> bool:
    """Tell whether the process that a socket is named after still runs."""
    number = path.name.removeprefix(PREFIX).removesuffix(SUFFIX)
    try:
        os.kill(int(number), 0)
    except (ValueError, ProcessLookupError):
        return False
    except OSError:
        return True
    return True


def none_running() -> PersonalError:
    """Make the error for when nothing of ours runs."""
    return PersonalError("CC-NOT-RUNNING", "no client of this user is connected", "Start one: `clawchat connect FILE`.")
