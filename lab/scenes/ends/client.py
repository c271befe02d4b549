"""The client of a scene: it reaches a server as the program does, and moves cargo.

It tells what happens as one JSON object a line, ``at`` in monotonic seconds, and is told on standard input, in the same
form: ``{"do": "upload" | "download" | "both", "rate": bytes a second, "least": bytes}``, then ``{"do": "stop"}``.

python -m lab.scenes.ends.client FILE.sec SECONDS KEYLOG
"""

from __future__ import annotations

import asyncio
import json
import pathlib
import sys
import time
from typing import Any, Final

from clawchat.net.connection import Connection
from clawchat.net.events_json import encode
from clawchat.net.loop import run
from clawchat.net.report import personal
from clawchat.net.user_events import UserEvent
from client.reach import reached
from client.request import Request
from lab.scenes.cargo import MIB, Intake, expected
from lab.scenes.ends.moving import receive, send

UNDER_WAY: Final = 4 * MIB
"""So much has to arrive until a transfer counts as under way."""


def say(event: str, **facts: object) -> None:
    """Tell one thing."""
    print(json.dumps({"event": event, "at": time.monotonic(), **facts}), flush=True)


def tell(event: UserEvent) -> None:
    """Tell what the program would show its user."""
    record: dict[str, Any] = json.loads(encode(event, time=time.time()))
    say(**{name: value for name, value in record.items() if name not in {"schema", "time"}})


async def listen() -> dict[str, Any]:
    """Wait for the next command; the end of them is one as well."""
    line = await asyncio.to_thread(sys.stdin.readline)
    order: dict[str, Any] = json.loads(line) if line else {"do": "stop"}
    return order


async def upload(connection: Connection, order: dict[str, Any], stop: asyncio.Event) -> None:
    """Send cargo, and hear what arrived of it."""
    stream = connection.open_stream()
    await stream.write(json.dumps({"way": "upload"}).encode() + b"\n")
    say("under_way")
    sent = await send(stream, order, stop)
    answer = b""
    while data := await stream.read():
        answer += data
    say("moved", way="upload", **json.loads(answer), expected=expected(sent))


async def download(connection: Connection, order: dict[str, Any], stop: asyncio.Event) -> None:
    """Have cargo sent until the end of our own half of the stream."""
    stream = connection.open_stream()
    await stream.write(json.dumps({"way": "download", **order}).encode() + b"\n")
    intake, begun = Intake(), asyncio.Event()

    def on_some() -> None:
        if intake.size >= UNDER_WAY and not begun.is_set():
            begun.set()
            say("under_way")

    taken = asyncio.create_task(receive(stream, intake, on_some=on_some))
    await stop.wait()
    await stream.finish()
    await taken
    say("moved", way="download", **intake.facts(), expected=expected(intake.size))


async def both(connection: Connection, order: dict[str, Any], stop: asyncio.Event) -> None:
    """Do both at once, on a stream each."""
    await asyncio.gather(upload(connection, order, stop), download(connection, order, stop))
    say("moved_both", port_moves=connection.port_moves)


async def live(file: pathlib.Path, seconds: float, keylog: pathlib.Path) -> None:
    """Connect, obey until told to stop, and close."""
    request = Request(
        what=str(file),
        file=None,
        key_file=None,
        passphrase_file=None,
        path=None,
        timeout=seconds,
        ip=None,
        port=None,
        keylog=keylog,
        ignore_clock=False,
        ignore_used=False,
        forget=True,
        config=None,
    )
    async with reached(request.plan(name="cargo"), tell) as found:
        order = await listen()
        if order["do"] == "stop":
            return
        stop = asyncio.Event()
        move = {"upload": upload, "download": download, "both": both}[order["do"]]
        moving = asyncio.create_task(move(found.connection, order, stop))
        stopped = asyncio.create_task(listen())
        await asyncio.wait({moving, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        await moving
        if move is both:  # what is claimed of the session is looked at before it ends in good order
            await stopped
            await listen()


def main() -> None:
    """Run it; what goes wrong is told as an event, too."""
    try:
        run(live(pathlib.Path(sys.argv[1]), float(sys.argv[2]), pathlib.Path(sys.argv[3])))
    except Exception as error:
        problem = personal(error)
        say("problem", code=problem.code, cause=problem.cause)
        raise


if __name__ == "__main__":
    main()
