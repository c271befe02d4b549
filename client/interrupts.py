"""Ctrl-C: the first asks the program to close its session, the second ends it at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType, TracebackType
from typing import Any, Final, Self, TypeVar

from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError

T = TypeVar("T")

INTERRUPTED: Final = "CC-INTERRUPTED"

_SIGNALS: Final = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if (number := getattr(signal, name, None)) is not None
]


class Interrupts:
    """Catch the signals that ask a program to end, while the context lasts; needs a running loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self.arm()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def arm(self) -> None:
        """Catch the signals, again if somebody else caught them meanwhile."""
        for number in _SIGNALS:
            signal.signal(number, self._caught)

    def _caught(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():
            os._exit(ExitCode.INTERRUPTED)
        self._loop.call_soon_threadsafe(self.asked.set)


async def unless_interrupted(work: Coroutine[Any, Any, T], interrupts: Interrupts) -> T:
    """Do some work, and give it up when a signal asks to end. Raises PersonalError (CC-INTERRUPTED) then."""
    task = asyncio.create_task(work)
    asked = asyncio.create_task(interrupts.asked.wait())
    try:
        waited: set[asyncio.Future[Any]] = {task, asked}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise PersonalError(INTERRUPTED, "interrupted")
        return task.result()
    finally:
        for each in (task, asked):
            each.cancel()
        await asyncio.gather(task, asked, return_exceptions=True)


@contextlib.contextmanager
def when_compromised(destroy: Callable[[], None]) -> Iterator[None]:
    """Destroy everything when SIGUSR2 comes, while the context lasts; no system sends that by itself."""
    number = getattr(signal, "SIGUSR2", None)
    if number is None:
        yield
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(number, destroy)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
