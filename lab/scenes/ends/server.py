"""The server of a scene: the program itself, whose clients move cargo instead of chatting.

python -m lab.scenes.ends.server run --keylog FILE --directory DIRECTORY
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import pathlib
from typing import Any

from clawchat.crypto.keylog import KeyLog
from clawchat.net import files
from clawchat.net.connection import Connection
from clawchat.net.loop import run
from clawchat.net.stream import Stream, StreamAborted
from clawchat.values.errors import SessionClosed
from clawchat.values.events import SessionOpened, StreamOpened
from lab.scenes.cargo import Intake
from lab.scenes.ends.moving import read_line, receive, send
from server import bootstrap, logs
from server.home import open_home
from server.keeper import Keeper
from server.program import Program
from server.requests import Requests
from server.run import open_keylog, serve


class CargoServer(Program):
    """Answer each stream of a client with what it asks for."""

    def _opened(self, event: SessionOpened) -> None:
        super()._opened(event)
        connection = Connection(self.node, self.endpoint.sessions[event.session])
        connection.on_stream = lambda stream: self._spawn(self._attend(stream))

    def _stream_opened(self, event: StreamOpened) -> None:
        """Leave it to the connection, which is told as well."""

    async def _attend(self, stream: Stream) -> None:
        try:
            await _obey(stream)
        except (SessionClosed, StreamAborted, EOFError) as ended:
            self.log.warning("cargo-lost", why=str(ended))


async def _obey(stream: Stream) -> None:
    order, rest = await read_line(stream)
    if order["way"] == "download":
        stop = asyncio.Event()
        told = asyncio.create_task(_until_end(stream, stop))
        await send(stream, order, stop)
        await told
        return
    intake = Intake()
    await receive(stream, intake, rest)
    await stream.write(json.dumps(intake.facts()).encode())
    await stream.finish()


async def _until_end(stream: Stream, ended: asyncio.Event) -> None:
    while await stream.read():
        pass
    ended.set()


async def _live(given: argparse.Namespace, keylog: KeyLog) -> None:
    home, loaded = open_home(given.directory, None)
    files.private_directory(home.security)
    log = logs.Log()
    keeper = Keeper(
        home, loaded.value, bootstrap.load(home, loaded.value, None), log=log, kind=CargoServer, keylog=keylog
    )
    handlers: dict[str, Any] = Requests(keeper).handlers
    await serve(keeper, home.control, handlers, log)


def main() -> None:
    """Run it until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--keylog", type=pathlib.Path)
    parser.add_argument("--directory", type=pathlib.Path)
    logs.set_up("info", "json")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        run(_live(given, open_keylog(given.keylog, stack)))


if __name__ == "__main__":
    main()
