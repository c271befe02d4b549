"""Run the server until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.net import files
from clawchat.net.control import SUPPORTED, ControlServer
from clawchat.net.hardening import keep_memory_private
from clawchat.net.loop import run as run_loop
from clawchat.net.report import personal
from clawchat.values.errors import PersonalError
from server import logs, systemd
from server.home import DirectoryLock, Home
from server.keeper import Keeper
from server.requests import Handler, Requests
from server.settings import Settings

KEYLOG_WARNING = (
    "WARNING: --keylog writes every key to {file}. Whoever reads that file can read all that is said here and "
    "join as anybody. Use it for tests only, and remove it."
)


def run(home: Home, settings: Settings, bootstrap: Bootstrap, keylog_file: pathlib.Path | None) -> None:
    """Run the server. Raises PersonalError when it can't start."""
    keep_memory_private()
    logs.set_up(settings.logging.level, settings.logging.format)
    lock = DirectoryLock(home)
    lock.take()
    try:
        with contextlib.ExitStack() as stack:
            keylog = None if keylog_file is None else open_keylog(keylog_file, stack)
            run_loop(_serve(home, settings, bootstrap, keylog))
    finally:
        lock.release()


async def _serve(home: Home, settings: Settings, bootstrap: Bootstrap, keylog: Callable[[str], None] | None) -> None:
    log = logs.Log()
    keeper = Keeper(home, settings, bootstrap, keylog=keylog, log=log)
    await serve(
        keeper, home.control, Requests(keeper).handlers, log, on_compromised=keeper.compromise, over=keeper.over
    )


class Servable(Protocol):
    """What ``serve`` needs of a program."""

    async def start(self) -> None:
        """Begin to work. Raises PersonalError."""

    def announce(self) -> None:
        """Log that everything is up."""

    async def stop(self) -> None:
        """End within two seconds."""


async def serve(  # noqa: PLR0913 - what runs, and all that can end it
    program: Servable,
    control_path: pathlib.Path,
    handlers: Mapping[str, Handler],
    log: logs.Log,
    *,
    on_compromised: Callable[[], object] | None = None,
    over: asyncio.Future[None] | None = None,
) -> None:
    """Let a program run until a signal asks it to stop; the operator's questions are answered meanwhile.

    SIGUSR2 calls ``on_compromised``; when ``over`` ends, its error is raised.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: _log_unexpected(log, context))
    stopping = loop.create_task(_stop_signals(loop).wait())
    control = ControlServer(control_path, handlers) if SUPPORTED else None
    watchdog: asyncio.Task[None] | None = None
    try:
        await program.start()
        if control is not None:
            await control.start()
        program.announce()
        watchdog = loop.create_task(systemd.watchdog())
        systemd.notify("READY=1")
        if on_compromised is not None and hasattr(signal, "SIGUSR2"):
            loop.add_signal_handler(signal.SIGUSR2, on_compromised)
        waited: set[asyncio.Future[Any]] = {stopping, *([] if over is None else [over])}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if over is not None and over.done():
            over.result()
    finally:
        systemd.notify("STOPPING=1")
        stopping.cancel()
        if watchdog is not None:
            watchdog.cancel()
        if control is not None:
            await control.close()
        await program.stop()


def _stop_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Event:
    """Return what is set when somebody asks the program to end."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, told.set)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(told.set))
    return told


def _log_unexpected(log: logs.Log, context: Mapping[str, Any]) -> None:
    error = context.get("exception")
    told = personal(error) if isinstance(error, BaseException) else PersonalError("CC-UNEXPECTED", "in the event loop")
    log.error("unexpected", code=told.code, cause=told.cause, where=context.get("message"), at=_place(error))


def _place(error: object) -> str:
    """Name the line that raised an error, which is what a report of a bug needs."""
    trace = error.__traceback__ if isinstance(error, BaseException) else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{pathlib.Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""


def open_keylog(path: pathlib.Path, stack: contextlib.ExitStack) -> Callable[[str], None]:
    """Make a key log that only we can read, and say loudly what it is. Raises PersonalError.

    A service never keeps one: what a unit says is easily forgotten, and it would write keys for years.
    """
    if systemd.is_service():
        raise PersonalError(
            "CC-USAGE", "a service that systemd runs keeps no key log", "Run the server by hand for research."
        )
    if path.exists() and path.stat().st_size:
        cause = f"there is something in {path} already"
        raise PersonalError("CC-USAGE", cause, "Name a new file for the key log.")
    files.write_private(path, b"")
    stream = stack.enter_context(path.open("ab", buffering=0))
    print(KEYLOG_WARNING.format(file=path), file=sys.stderr, flush=True)
    logs.Log().warning("keylog-open", file=str(path))
    return lambda line: _write_line(stream.write, line)


def _write_line(write: Callable[[bytes], object], line: str) -> None:
    write(line.encode() + b"\n")
