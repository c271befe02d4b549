"""Coming back: take the next credential that the server hands over, and keep it sealed under the server's name."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pathlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import MAX_FILE_BYTES, open_file, seal_file
from clawchat.net.connection import Connection
from clawchat.net.files import private_directory, read_private, remove, write_private
from clawchat.net.stream import Stream, StreamAborted
from clawchat.services.handover import HandoverReader
from clawchat.services.preface import CREDENTIAL, PrefaceReader, StreamCode
from clawchat.values.errors import ProtocolViolation, SecurityFileError, SessionClosed

DIRECTORY: Final = "servers"
SUFFIX: Final = ".sec"
NOTES_SUFFIX: Final = ".json"
JOURNAL_SUFFIX: Final = ".sealed"
MAX_NOTES_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Notes:
    """What else is known of a server we can go back to: where the key lies, and who we are to its chat."""

    key_place: pathlib.Path | None = None  # None for a passphrase
    token: str = ""


class KnownServers:
    """The servers this machine can go back to: a security file each, sealed with the same key as the first one."""

    def __init__(self, state: pathlib.Path) -> None:
        self._directory = state / DIRECTORY
        self._writing = threading.Lock()
        self._closed = False

    def file(self, name: str) -> pathlib.Path:
        """Name the file of a server."""
        return self._directory / f"{name}{SUFFIX}"

    def names(self) -> list[str]:
        """List the servers."""
        return sorted(path.name.removesuffix(SUFFIX) for path in self._directory.glob(f"*{SUFFIX}"))

    def journal(self, name: str) -> pathlib.Path:
        """Name the file of what is not to be forgotten of the chat with a server."""
        return self._directory / f"{name}{JOURNAL_SUFFIX}"

    def make(self) -> None:
        """Make the place for all this. Raises SecurityFileError."""
        private_directory(self._directory)

    def open(self, name: str, bootstrap: Bootstrap) -> Credential:
        """Open the credential that a server handed over last. Raises SecurityFileError."""
        return open_file(read_private(self.file(name), MAX_FILE_BYTES), bootstrap)

    def notes(self, name: str) -> Notes:
        """Read the notes on a server, empty ones when there are none that can be read."""
        try:
            found = json.loads(read_private(self._notes(name), MAX_NOTES_BYTES))
            return Notes(pathlib.Path(found["key_place"]) if found["key_place"] else None, str(found["token"]))
        except (SecurityFileError, ValueError, LookupError, TypeError):
            return Notes()

    def keep(self, credential: Credential, bootstrap: Bootstrap, notes: Notes) -> None:
        """Keep a credential in place of the last one. Raises SecurityFileError."""
        with self._writing:
            if not self._closed:
                self._write(credential, bootstrap, notes)

    def _write(self, credential: Credential, bootstrap: Bootstrap, notes: Notes) -> None:
        self.make()
        place = str(notes.key_place.absolute()) if notes.key_place else None
        write_private(self._notes(credential.name), json.dumps({"key_place": place, "token": notes.token}).encode())
        write_private(self.file(credential.name), seal_file(credential, bootstrap, os.urandom))

    def forget_for_ever(self, name: str) -> list[pathlib.Path]:
        """Keep nothing more; return the files of a server that are to be destroyed."""
        with self._writing:
            self._closed = True
        return [self.file(name), self._notes(name), self.journal(name)]

    def forget(self, name: str) -> None:
        """Keep nothing of a server."""
        if self._directory.exists():
            remove(self.file(name))
            remove(self._notes(name))
            remove(self.journal(name))

    def _notes(self, name: str) -> pathlib.Path:
        return self._directory / f"{name}{NOTES_SUFFIX}"


class Handovers:
    """Take what the server hands over.

    ``keep`` is called with each credential, outside the loop's thread; None lets all of them go.
    """

    def __init__(self, connection: Connection, keep: Callable[[Credential], None] | None) -> None:
        self._connection = connection
        self._keep = keep
        self.kept = asyncio.Event()

    async def run(self) -> None:
        """Look after the streams that the server opens, until the session is over. Raises SecurityFileError."""
        with contextlib.suppress(SessionClosed):
            while True:
                stream = await self._connection.accept_stream()
                try:
                    credential = await _read(stream)
                except (ProtocolViolation, StreamAborted):
                    stream.reset(StreamCode.REFUSED)
                    stream.stop(StreamCode.REFUSED)
                    continue
                if self._keep is not None:
                    await asyncio.to_thread(self._keep, credential)
                credential.wipe()
                with contextlib.suppress(StreamAborted):
                    await stream.finish()  # the server burns what we came by
                self.kept.set()


async def _read(stream: Stream) -> Credential:
    """Read a handover to its end. Raises ProtocolViolation for anything else."""
    preface, handover = PrefaceReader(), HandoverReader()
    service = None
    while data := await stream.read():
        if service is None:
            found = preface.feed(data)
            if found is None:
                continue
            service, data = found
            if service != CREDENTIAL:
                raise ProtocolViolation(StreamCode.UNKNOWN_SERVICE, f"service {service}")
        handover.feed(data)
    return handover.finish()
