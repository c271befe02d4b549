"""QUIC by aioquic or by its relative qh3, which share one surface: one connection, one stream."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
from pathlib import Path
from typing import Any

from lab.bench.ends.command import actions_for, obey, say
from lab.bench.ends.workload import BLOCK_SIZE, Answer

PROTOCOL = "clawchat-bench"


class Library:
    """The names we need of one of the two libraries, looked up by the library's name."""

    def __init__(self, name: str) -> None:
        asynchronous = importlib.import_module(f"{name}.asyncio")
        configuration = importlib.import_module(f"{name}.quic.configuration")
        self.connect: Any = asynchronous.connect
        self.serve: Any = asynchronous.serve
        self._configuration: Any = configuration.QuicConfiguration

    def configuration(self, *, is_client: bool, **more: object) -> Any:  # noqa: ANN401 - either library's class
        """Return this library's configuration, with its own defaults."""
        return self._configuration(is_client=is_client, alpn_protocols=[PROTOCOL], **more)


class QuicPipe:
    """One connection with one stream."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, association: contextlib.AsyncExitStack
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._association = association

    async def send(self, data: bytes) -> None:
        """Queue bytes and let the loop send them; only the workload's window bounds the queue."""
        self._writer.write(data)
        await asyncio.sleep(0)

    async def receive(self) -> bytes:
        """Wait for bytes."""
        data = await self._reader.read(BLOCK_SIZE)
        if not data:
            raise ConnectionResetError("the server closed the stream")
        return data

    async def close(self) -> None:
        """Close the connection and wait until it has drained."""
        await self._association.aclose()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    answer = Answer()
    while data := await reader.read(BLOCK_SIZE):
        if reply := answer.feed(data):
            writer.write(bytes(reply))


async def serve(library: Library, host: str, port: int, certificate: Path, key: Path) -> None:
    """Answer every stream until killed."""
    configuration = library.configuration(is_client=False)
    configuration.load_cert_chain(certificate, key)
    conversations: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_converse(reader, writer))
        conversations.add(task)
        task.add_done_callback(conversations.discard)

    await library.serve(host, port, configuration=configuration, stream_handler=accept)
    say(ready=True)
    await asyncio.Event().wait()


async def measure(library: Library, host: str, port: int, certificate: Path) -> None:
    """Carry out the harness's commands."""

    async def connect() -> QuicPipe:
        configuration = library.configuration(is_client=True)
        configuration.load_verify_locations(cafile=str(certificate))
        association = contextlib.AsyncExitStack()
        connection = await association.enter_async_context(library.connect(host, port, configuration=configuration))
        reader, writer = await connection.create_stream()
        return QuicPipe(reader, writer, association)

    await obey(actions_for(connect))


def main() -> None:
    """Run one library as `server` or `client`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=("aioquic", "qh3"))
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key")
    given = parser.parse_args()
    library = Library(given.library)
    if given.role == "server":
        asyncio.run(serve(library, given.host, given.port, given.certificate, given.key))
    else:
        asyncio.run(measure(library, given.host, given.port, given.certificate))


if __name__ == "__main__":
    main()
