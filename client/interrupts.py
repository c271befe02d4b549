"""Ctrl-C: the first asks the program to close its session, the second ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from types import FrameType, TracebackType
from typing import Any, Final, Self

from clawchat.values.catalog import ExitCode

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
