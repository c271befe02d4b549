"""Measure the round trip to a server: through a client that runs, or with a connection of our own."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from typing import Final

from clawchat.net.events_json import encode
from clawchat.net.loop import run
from clawchat.net.paths import places
from clawchat.net.user_events import Notice, PingLost, PingSummary, Pong, UserEvent
from clawchat.values.catalog import ExitCode
from client.interrupts import Interrupts, unless_interrupted
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


def ping_through_running(count: int, interval: float, *, as_json: bool) -> int:
    """Let the newest client that runs measure it. Raises PersonalError (CC-NOT-RUNNING)."""
    found = running_clients(places("client").runtime)
    if not found:
        raise none_running()
    board = Board(as_json=as_json)
    with contextlib.suppress(KeyboardInterrupt):
        for index in range(count):
            if index:
                time.sleep(interval)
            board.show(ping_running(found[-1][0], timeout=TIMEOUT))
    return board.finish()


def ping_with_plan(plan: Plan, count: int, interval: float, *, as_json: bool) -> int:
    """Connect and measure it; the file is used up."""
    return run(_ping(plan, Board(as_json=as_json), count, interval))


async def _ping(plan: Plan, board: Board, count: int, interval: float) -> int:
    if not plan.opened.back:
        board.show(Notice("this uses the security file up: it serves once"))
    with Interrupts() as interrupts:
        async with contextlib.AsyncExitStack() as stack:
            server = await unless_interrupted(stack.enter_async_context(reached(plan, board.show)), interrupts)
            pulse = Pulse(server.connection, board.show)

            async def all_pings() -> None:
                for index in range(count):
                    if index:
                        await asyncio.sleep(interval)
                    board.show(await pulse.ping(TIMEOUT))

            await unless_interrupted(all_pings(), interrupts)
            await unless_interrupted(server.wait_handover(), interrupts)
    return board.finish()
