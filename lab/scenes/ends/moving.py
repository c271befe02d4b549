"""How the two ends move cargo over one stream: a line that says which way, then the bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from clawchat.net.stream import Stream
from lab.scenes.cargo import Intake, Pace, blocks


async def send(stream: Stream, order: dict[str, Any], stop: asyncio.Event) -> int:
    """Send cargo until told to stop, but no less than the order asks for; return how much it was."""
    pace, sent = Pace(order["rate"]), 0
    for block in blocks():
        if stop.is_set() and sent >= order["least"]:
            break
        await asyncio.sleep(pace.pause(len(block)))
        await stream.write(block)
        sent += len(block)
    await stream.finish()
    return sent


async def receive(
    stream: Stream, intake: Intake, first: bytes = b"", on_some: Callable[[], None] = lambda: None
) -> None:
    """Take in all that comes on a stream."""
    if first:
        intake.take(first)
    while data := await stream.read():
        intake.take(data)
        on_some()


async def read_line(stream: Stream) -> tuple[dict[str, Any], bytes]:
    """Read the line a stream begins with; return it and the bytes after it. Raises EOFError."""
    found = b""
    while b"\n" not in found:
        data = await stream.read()
        if not data:
            raise EOFError("a stream without a line")
        found += data
    line, _, rest = found.partition(b"\n")
    order: dict[str, Any] = json.loads(line)
    return order, rest
