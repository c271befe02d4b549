"""What the chat remembers over restarts, and over the death of the program: a sealed journal of its ledger."""

from __future__ import annotations

import asyncio
from typing import Final

from clawchat.crypto.bootstrap import Bootstrap, KeyFile, Passphrase
from clawchat.crypto.sealed_log import Record
from clawchat.net.journal import Journal, read_journal
from clawchat.services.chat_ledger import Ledger
from clawchat.values.errors import PersonalError, ProtocolViolation, SecurityFileError
from server.home import Home
from server.logs import Log
from server.slots import RETRY_SECONDS

FORM: Final = "clawchat chat journal"


class Remembering:
    """Hold the ledger of a hub and write it down. A journal that can't be written costs only what it is for."""

    def __init__(self, home: Home, bootstrap: Bootstrap, log: Log, *, enabled: bool) -> None:
        self._bootstrap = bootstrap
        self._log = log
        self._enabled = enabled
        self._path = home.chat
        self.ledger = Ledger(self._read() if enabled else (), self._note)
        self._journal = Journal(home.chat, form=FORM, snapshot=self.ledger.records)

    async def begin(self) -> None:
        """Write everything that is known, and whatever is noted from now on."""
        if not self._enabled:
            self._journal.destroy()
            return
        try:
            if isinstance(self._bootstrap, KeyFile):
                self._journal.begin(self._bootstrap)
            else:  # a passphrase is stretched for a tenth of a second, which the network must not wait for
                await asyncio.to_thread(self._journal.begin, self._bootstrap)
        except PersonalError as error:
            self._log.error("chat-not-kept", code=error.code, cause=error.cause)

    async def run(self) -> None:
        """Begin again a while after a failure, until cancelled."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if self._enabled and not self._journal.open:
                await self.begin()

    async def reseal(self, bootstrap: Bootstrap) -> None:
        """Write everything under another bootstrap key."""
        self._bootstrap = bootstrap
        await self.begin()

    def flush(self) -> None:
        """Write what was noted; call this before anybody is told of it."""
        try:
            self._journal.flush()
        except PersonalError as error:
            self._log.error("chat-not-kept", code=error.code, cause=error.cause)

    def forget(self) -> None:
        """Write no more, and destroy what was written."""
        self._enabled = False
        self._journal.destroy()

    def close(self) -> None:
        """Write no more: what happens while the program ends is not to be remembered."""
        if self.ledger.tokens:
            self._journal.close()
        else:
            self._journal.destroy()

    def _note(self, record: Record) -> None:
        self._journal.note(record)

    def _read(self) -> list[Record]:
        try:
            found = read_journal(self._path, self._bootstrap, form=FORM)
            Ledger(found)
        except SecurityFileError as error:
            if isinstance(self._bootstrap, Passphrase) and error.code == "CC-PASSPHRASE":
                raise
            self._log.warning("chat-forgotten", code=error.code, cause=error.cause)
        except (ValueError, ProtocolViolation) as error:
            self._log.warning("chat-forgotten", code="CC-FILE-FORMAT", cause=str(error))
        else:
            return found
        return []
