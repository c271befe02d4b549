"""Measure the round trip to a server: through a client that runs, or with a connection of our own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from clawchat.net.events_json import encode
from clawchat.net.loop import run
from clawchat.net.paths import places
from clawchat.net.user_events import Notice, PingLost, PingSummary, Pong, UserEvent
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError
from client.interrupts import Interrupts, unless_interrupted
from client.peer import RELAYED, TUNNELLED
from client.plan import Plan
from client.pulse import Pulse
from client.reach import reached
from client.render import MARK, describe, plain
from client.running import none_running, ping_running, running_clients

TIMEOUT: Final = 5.0
"""A ping that takes longer counts as lost."""


class Board:
    """Show pings as they come, and count them. Lines of JSON are data; for a person, the pings are."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._times: list[float] = []
        self._sent = 0

    def show(self, event: UserEvent) -> None:
        """Show an event."""
        if isinstance(event, Pong | PingLost):
            self._sent += 1
        if isinstance(event, Pong):
            self._times.append(event.rtt_ms)
        if self._json:
            print(encode(event, time=time.time()), flush=True)
        elif (fragments := describe(event)) is not None:
            line = plain(fragments)
            if isinstance(event, Pong | PingLost | PingSummary):
                print(line.removeprefix(MARK), flush=True)
            else:
                print(line, file=sys.stderr, flush=True)

    def finish(self) -> int:
        """Show the summary; return the exit code."""
        times = self._times
        mean = round(statistics.fmean(times), 3) if times else None
        self.show(PingSummary(self._sent, len(times), min(times, default=None), mean, max(times, default=None)))
        return ExitCode.OK if times else ExitCode.TIMEOUT


@dataclass(frozen=True, slots=True)
class Series:
    """How many pings, how far apart, and for how long at most until the path is direct, None: never mind the path."""

    count: int
    interval: float
    direct_within: float | None = None

    def pauses(self) -> Iterator[float]:
        """Go through the pings: yield how long to wait before each. Raises PersonalError (CC-NO-DIRECT-PATH)."""
        began = time.monotonic()
        for index in itertools.count() if self.direct_within is not None else range(self.count):
            if self.direct_within is not None and time.monotonic() - began > self.direct_within:
                cause = f"the path was not direct within {self.direct_within:g} s"
                raise PersonalError("CC-NO-DIRECT-PATH", cause, "`clawchat netcheck` says what this network does.")
            yield self.interval if index else 0.0

    def is_over(self, answer: Pong | PingLost) -> bool:
        """Tell whether this answer is the one that was waited for."""
        return self.direct_within is not None and isinstance(answer, Pong) and answer.path not in {RELAYED, TUNNELLED}


def ping_through_running(series: Series, *, as_json: bool) -> int:
    """Let the newest client that runs measure it. Raises PersonalError: CC-NOT-RUNNING, CC-NO-DIRECT-PATH."""
    found = running_clients(places("client").runtime)
    if not found:
        raise none_running()
    board = Board(as_json=as_json)
    with contextlib.suppress(KeyboardInterrupt):
        for pause in series.pauses():
            time.sleep(pause)
            answer = ping_running(found[-1][0], timeout=TIMEOUT)
            board.show(answer)
            if series.is_over(answer):
                break
    return board.finish()


def ping_with_plan(plan: Plan, series: Series, *, as_json: bool) -> int:
    """Connect and measure it; the file is used up. Raises PersonalError, CC-NO-DIRECT-PATH among them."""
    return run(_ping(plan, Board(as_json=as_json), series))


async def _ping(plan: Plan, board: Board, series: Series) -> int:
    if not plan.opened.back:
        board.show(Notice("this uses the security file up: it serves once"))
    with Interrupts() as interrupts:
        async with contextlib.AsyncExitStack() as stack:
            server = await unless_interrupted(stack.enter_async_context(reached(plan, board.show)), interrupts)
            pulse = Pulse(server.connection, board.show, why_relayed=server.ways.why_relayed)

            async def all_pings() -> None:
                for pause in series.pauses():
                    await asyncio.sleep(pause)
                    answer = await pulse.ping(TIMEOUT)
                    board.show(answer)
                    if series.is_over(answer):
                        break

            try:
                await unless_interrupted(all_pings(), interrupts)
            finally:
                await unless_interrupted(server.wait_handover(), interrupts)
    return board.finish()
