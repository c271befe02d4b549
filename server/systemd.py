"""Tell systemd that the server is ready, alive and stopping (sd_notify(3)); silent without systemd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Mapping
from typing import Final

# sd_watchdog_enabled(3): notify every half of the time that the manager allows.
WATCHDOG_SHARE: Final = 0.5
MICROSECONDS: Final = 1e6


def notify(state: str, environ: Mapping[str, str] | None = None) -> bool:
    """Send a state such as ``READY=1``; tell whether there was somebody to send it to."""
    target = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
    if not target or not hasattr(socket, "AF_UNIX"):
        return False
    if target.startswith("@"):  # an abstract socket
        target = "\0" + target[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(target)
        sender.send(state.encode())
        return True
    return False


def is_service(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether systemd runs this program and waits for its word."""
    return bool((os.environ if environ is None else environ).get("NOTIFY_SOCKET"))


async def watchdog(environ: Mapping[str, str] | None = None) -> None:
    """Show systemd that the event loop turns, as long as it wants to know."""
    environ = os.environ if environ is None else environ
    wanted = environ.get("WATCHDOG_USEC", "")
    if not wanted.isdecimal() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while notify("WATCHDOG=1", environ):  # noqa: ASYNC110 - it waits for time to pass, nothing else
        await asyncio.sleep(int(wanted) / MICROSECONDS * WATCHDOG_SHARE)
