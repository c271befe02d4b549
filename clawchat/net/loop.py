"""The event loop that every program runs on, and how late it is."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from clawchat.net.socket_errors import System
from clawchat.net.socket_options import SYSTEM

T = TypeVar("T")

TICK_SECONDS: Final = 0.25
"""How long Ctrl-C may go unnoticed on Windows."""

BEAT_SECONDS: Final = 5.0
"""How often the loop is asked whether it is on time; a phone's battery pays for more."""

LAG_SECONDS: Final = 60.0
"""The worst lag is that of the last minute."""


def selector_loop(*, system: System = SYSTEM) -> asyncio.AbstractEventLoop:
    """Make a selector event loop on every system: Windows' own stops receiving UDP after an ICMP error."""
    loop = asyncio.SelectorEventLoop()
    if system is System.WINDOWS:
        _tick(loop)
    return loop


def _tick(loop: asyncio.AbstractEventLoop) -> None:
    """Wake up now and then: select() on Windows sleeps through Ctrl-C."""
    loop.call_later(TICK_SECONDS, _tick, loop)


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run a program's coroutine to its end on a selector event loop."""
    with asyncio.Runner(loop_factory=selector_loop, debug=debug) as runner:
        return runner.run(main)


class LagMeter:
    """Measure how late the event loop calls back, in seconds: above all, how long the longest turn took.

    ``on_beat`` is called each time.
    """

    __slots__ = ("_beat_seconds", "_due", "_handle", "_loop", "_on_beat", "_worsts")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, beat: float = BEAT_SECONDS, on_beat: Callable[[], None] | None = None
    ) -> None:
        self._on_beat = on_beat
        self._loop = loop
        self._beat_seconds = beat
        self._worsts: deque[float] = deque([0.0], maxlen=round(LAG_SECONDS / beat))
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None

    @property
    def worst(self) -> float:
        """Return the worst lag of the last minute."""
        return max(self._worsts)

    def start(self) -> None:
        """Begin to measure."""
        self._due = time.monotonic() + self._beat_seconds
        self._handle = self._loop.call_at(self._due, self._beat)

    def stop(self) -> None:
        """Measure no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def note(self, lag: float) -> None:
        """Take in the lateness of some other timer."""
        self._worsts[-1] = max(self._worsts[-1], lag)

    def _beat(self) -> None:
        self.note(time.monotonic() - self._due)
        self._worsts.append(0.0)
        if self._on_beat is not None:
            self._on_beat()
        self.start()
