"""One end of the laboratory, or its rendezvous, as a program: `python -m lab.strategies.program ROLE [HOST …]`.

An end reads orders from its standard input, one line of JSON each. A server answers `ready` before its client may
begin, and tells its outcome when it reads `end`; a client tells its outcome as soon as it has one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any, Final

from clawchat.net.loop import run
from lab.strategies.our_end import OurClient, OurServer
from lab.strategies.outcome import Order, Outcome
from lab.strategies.rival_end import RivalEnd, serve_rendezvous

RENDEZVOUS: Final = "rendezvous"
END: Final = "end"
SERVER: Final = "server"


def tell(**fields: Any) -> None:  # noqa: ANN401 - whatever JSON can say
    """Write one line."""
    print(json.dumps(fields), flush=True)


async def lines() -> asyncio.StreamReader:
    """Return standard input as something to wait for."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def serve_orders() -> None:
    """Carry out orders until standard input ends."""
    reader = await lines()
    tell(ready=True)
    while line := await reader.readline():
        order = Order.from_json(json.loads(line))
        fight = _rival if order.strategy.rival else _ours
        tell(outcome=(await fight(order, reader)).as_json())


async def _rival(order: Order, reader: asyncio.StreamReader) -> Outcome:
    end = RivalEnd(order)
    try:
        if order.role != SERVER:
            return await end.run()
        tell(ready=True)
        lingering = asyncio.ensure_future(_run_and_linger(end))
        await reader.readline()
        lingering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await lingering
        return end.outcome()
    finally:
        end.close()


async def _run_and_linger(end: RivalEnd) -> None:
    await end.run()
    await end.linger()


async def _ours(order: Order, reader: asyncio.StreamReader) -> Outcome:
    if order.role != SERVER:
        return await OurClient(order).run()
    server = OurServer(order)
    try:
        await server.start()
        tell(ready=True, credential=server.credential.hex())
        told = json.loads(await reader.readline() or "{}")
        return server.outcome(told.get("direct_at"))
    finally:
        await server.close()


async def serve_introductions(hosts: list[str]) -> None:
    """Be the rendezvous until standard input ends."""
    reader = await lines()
    transports = await serve_rendezvous(hosts)
    tell(ready=True)
    await reader.read()
    for transport in transports:
        transport.close()


if __name__ == "__main__":
    words = sys.argv[1:]
    run(serve_introductions(words[1:]) if words[:1] == [RENDEZVOUS] else serve_orders())
