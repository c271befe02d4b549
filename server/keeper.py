"""A server that can be destroyed, and begins anew with nothing of what it had: COMPROMISED."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
from collections.abc import Iterator

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.keylog import KeyLog
from clawchat.net import files
from clawchat.net.report import personal
from clawchat.values.errors import PersonalError
from server.bootstrap import START_AGAIN, burnt_mark, write_key
from server.home import Home
from server.logs import Log
from server.program import Program
from server.settings import PASSPHRASE, Settings


class Keeper:
    """Run one server after the other: the next one begins when everything of the last was destroyed.

    ``over`` ends with an error when there can be no next one.
    """

    def __init__(  # noqa: PLR0913 - what every server gets, and which kind it is
        self,
        home: Home,
        settings: Settings,
        bootstrap: Bootstrap,
        *,
        keylog: KeyLog | None = None,
        log: Log,
        kind: type[Program] = Program,
    ) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._home = home
        self._settings = settings
        self._keylog = keylog
        self._kind = kind
        self._log = log
        self._leaving: set[asyncio.Task[None]] = set()
        self._beginning: asyncio.Task[None] | None = None
        self._times = 0
        self._bootstrap: Bootstrap | None = bootstrap
        self._mark = b""
        self.program = self._make(bootstrap)

    def _make(self, bootstrap: Bootstrap) -> Program:
        return self._kind(
            self._home, self._settings, bootstrap, keylog=self._keylog, log=self._log, on_destroyed=self.compromise
        )

    async def start(self) -> None:
        """Begin to work. Raises PersonalError."""
        bootstrap, self._bootstrap = self._bootstrap, None
        if bootstrap is not None and self.needs_a_person:
            # made before it is needed: to stretch a passphrase takes longer than to destroy everything
            self._mark = await asyncio.to_thread(burnt_mark, bootstrap)
        await self.program.start()

    def announce(self) -> None:
        """Log that everything is up."""
        self.program.announce()

    async def stop(self) -> None:
        """End within two seconds, or when the last copy of COMPROMISED has left."""
        if self._beginning is not None:
            await asyncio.gather(self._beginning, return_exceptions=True)
        await asyncio.gather(self.program.stop(), *self._leaving)

    @property
    def needs_a_person(self) -> bool:
        """Tell whether only a person can give the server something new to seal its files with."""
        return self._settings.security.bootstrap == PASSPHRASE

    def compromise(self) -> asyncio.Task[None]:
        """Destroy everything now, and begin anew; the task ends when the new server is up, or ``over`` is."""
        if self._beginning is not None and not self._beginning.done():
            return self._beginning
        old = self.program
        self._times += 1
        old.destroy()
        destroyed = destroy_files(self._home, self._settings, self._log)
        if self._mark:
            self._remember_passphrase()
        self._log.warning("compromised", destroyed=[str(path) for path in destroyed])
        leaving = asyncio.create_task(old.stop())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        self._beginning = asyncio.create_task(self._begin(leaving))
        return self._beginning

    def _remember_passphrase(self) -> None:
        """See to it that no restart takes the same passphrase again."""
        try:
            files.write_private(self._home.burnt, self._mark)
        except PersonalError as error:
            self._log.error("passphrase-not-remembered", code=error.code, cause=error.cause)

    async def _begin(self, leaving: asyncio.Task[None]) -> None:
        try:
            if self._settings.server.port or self.needs_a_person:
                await leaving
            if self.needs_a_person:
                raise PersonalError("CC-COMPROMISED", "every key and file was destroyed", START_AGAIN)
            program = self._make(write_key(self._home))
            program.meters.begun_anew(self._times)
            await program.start()
        except Exception as error:  # noqa: BLE001 - whoever runs the server is told
            if not self.over.done():
                self.over.set_exception(personal(error))
            return
        self.program = program
        program.announce()


def destroy_files(home: Home, settings: Settings, log: Log) -> list[pathlib.Path]:
    """Overwrite and remove every file that was of use with the keys of a server; return what was there."""
    destroyed = []
    for path in _secret_files(home, settings):
        try:
            if files.destroy(path):
                destroyed.append(path)
        except PersonalError as error:
            log.warning("file-not-removed", file=str(path), code=error.code, cause=error.cause)
    return destroyed


def _secret_files(home: Home, settings: Settings) -> Iterator[pathlib.Path]:
    """Go through the key, the security files, the credentials of clients, and what is left of writing them.

    The files of relays are not ours to destroy.
    """
    relays = {(home.configuration.parent / path).resolve() for path in settings.networking.relays}
    yield home.bootstrap_key
    yield home.clients
    yield home.chat
    with contextlib.suppress(OSError):
        for path in sorted(home.security.iterdir()):
            if path.name.endswith((".sec", ".tmp")) and path.resolve() not in relays:
                yield path
