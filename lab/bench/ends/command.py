"""How the harness talks with a client program: one command a line in, one JSON object a line out.

    setup COUNT      fresh associations, each to its first echo
    echo COUNT       round trips of 64 bytes
    bulk SECONDS     one flow as fast as it goes

Between commands the program is idle, so the harness can read the processor time of every process around one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping

from lab.bench.ends.workload import ECHO, Pipe, measure_bulk, measure_echo, measure_setup

Action = Callable[[float], Awaitable[Mapping[str, float]]]
"""What a command does: its argument in, its figures out."""


def say(**facts: float | bool | str) -> None:
    """Print one line for the harness at once."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def obey(actions: Mapping[str, Action]) -> None:
    """Carry out the commands of standard input until it ends."""
    say(ready=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, argument = line.split()
        say(**await actions[name](float(argument)))


def actions_for(connect: Callable[[], Awaitable[Pipe]], *, opening: bytes = ECHO) -> dict[str, Action]:
    """Return the three standard measurements over conversations that `connect` opens."""

    async def setup(count: float) -> Mapping[str, float]:
        return await measure_setup(connect, int(count), opening=opening)

    async def echo(count: float) -> Mapping[str, float]:
        pipe = await connect()
        figures = await measure_echo(pipe, int(count), opening=opening)
        await pipe.close()
        return figures

    async def bulk(seconds: float) -> Mapping[str, float]:
        pipe = await connect()
        figures = await measure_bulk(pipe, seconds)
        await pipe.close()
        return figures

    return {"setup": setup, "echo": echo, "bulk": bulk}
