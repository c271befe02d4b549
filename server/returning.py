"""Credentials that bring clients back: handed over through a session, kept sealed across restarts.

A client that is here holds one that lives ``resume_hours``; when half of that is over it is handed the next. One
that was used is burnt once its client holds the next: a client or server that is killed in between is not locked out.
The clients that may come back are listed in ``clients.sealed``, under the bootstrap key, with the header key
they know this server by.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Final

from clawchat.crypto.bootstrap import Bootstrap, KeyFile, Passphrase
from clawchat.crypto.credential import Slot
from clawchat.crypto.secfile import MAX_SLOTS, MAX_SLOTS_FILE_BYTES, open_slots, seal_slots
from clawchat.net import files
from clawchat.values.errors import PersonalError, SecurityFileError
from server.home import Home
from server.invitations import Armory, Maker
from server.logs import Log

# A client that stays gets its next credential when the one it has is half over.
RENEW_SHARE: Final = 0.5
UNNAMED: Final = "returning"


@dataclass(slots=True)
class _Promise:
    """A credential that a client holds, which it got in a session (``client``; None: in an earlier run)."""

    slot: Slot
    name: str
    client: int | None
    renew_at: float


class Returning:
    """Keep what lets clients come back. ``seconds`` 0: nobody comes back without a new security file."""

    def __init__(self, home: Home, seconds: float, bootstrap: Bootstrap, armory: Armory, log: Log) -> None:
        self._file = home.clients
        self._seconds = seconds
        self._bootstrap = bootstrap
        self._armory = armory
        self._log = log
        self._promises: dict[bytes, _Promise] = {}
        self._saving = asyncio.Lock()

    def load(self) -> list[Slot]:
        """Arm the credentials of the last run that are still valid; return their slots, the newest last.

        Raises SecurityFileError for another passphrase than the one of the last run; with another key file, the
        clients that were here need new security files, and the log says so.
        """
        if not self._file.exists():
            return []
        data = files.read_private(self._file, MAX_SLOTS_FILE_BYTES)
        try:
            slots = open_slots(data, self._bootstrap)
        except SecurityFileError as error:
            if isinstance(self._bootstrap, Passphrase):
                raise
            self._log.warning("clients-forgotten", code=error.code, cause=error.cause)
            return []
        now, unix = time.monotonic(), time.time()
        kept = []
        for slot in sorted(slots, key=lambda slot: slot.credential.timestamp):
            left = min(slot.credential.valid_until - unix, self._seconds)
            if left <= 0:
                slot.wipe()
                continue
            slot.lasting = True
            self._armory.arm(slot, deadline=now + left)
            self._promises[slot.credential.slot_id] = _Promise(slot, UNNAMED, None, float("inf"))
            kept.append(slot)
        return kept

    @property
    def enabled(self) -> bool:
        """Tell whether clients are handed anything."""
        return self._seconds > 0

    async def promise(self, session: int, name: str, maker: Maker) -> Slot:
        """Make the next credential for a session, armed and saved before it is handed over."""
        slot = maker.make(self._seconds)
        slot.lasting = True
        now = time.monotonic()
        while len(self._promises) >= MAX_SLOTS:
            self._break(next(iter(self._promises)))
        self._promises[slot.credential.slot_id] = _Promise(slot, name, session, now + self._seconds * RENEW_SHARE)
        self._armory.arm(slot, deadline=now + self._seconds)
        await self.save()
        return slot

    def due(self) -> list[tuple[int, str]]:
        """List sessions whose client is to get its next credential; each is listed once."""
        now = time.monotonic()
        found = []
        for promise in self._promises.values():
            if promise.client is not None and promise.renew_at <= now:
                promise.renew_at = float("inf")
                found.append((promise.client, promise.name))
        return found

    def ended(self, session: int) -> None:
        """Hand nothing more to a session that is over; what it has stays good."""
        for promise in self._promises.values():
            if promise.client == session:
                promise.renew_at = float("inf")

    def use(self, slot_id: bytes, session: int) -> str | None:
        """Note that a client came back with a slot; return its name, None for no such slot.

        What else it held is burnt; this one when it is settled that it holds the next.
        """
        used = self._promises.get(slot_id)
        if used is None:
            return None
        for key in [key for key, other in self._promises.items() if _same_client(other, used) and other is not used]:
            self._break(key)
        used.client, used.renew_at = session, float("inf")
        return used.name

    async def settle(self, session: int, slot_id: bytes) -> None:
        """Burn what a client held before, now that it holds this."""
        before = [key for key, other in self._promises.items() if other.client == session and key != slot_id]
        for key in before:
            self._break(key)
        if before:
            await self.save()

    def break_all(self, session: int) -> bool:
        """Forget what the client of a session could come back with; tell whether there was anything."""
        held = [key for key, promise in self._promises.items() if promise.client == session]
        for key in held:
            self._break(key)
        return bool(held)

    def forget(self) -> None:
        """Forget every client; the slots are destroyed by who calls this."""
        self._promises.clear()

    async def save(self) -> None:
        """Write the sealed file; a failure is logged and costs only what the file is for."""
        async with self._saving:
            slots = [promise.slot for promise in self._live()]
            try:
                if isinstance(self._bootstrap, KeyFile):
                    data = seal_slots(slots, self._bootstrap, secrets.token_bytes)
                else:
                    data = await asyncio.to_thread(seal_slots, slots, self._bootstrap, secrets.token_bytes)
                files.write_private(self._file, data)
            except PersonalError as error:
                self._log.error("clients-not-saved", code=error.code, cause=error.cause)

    async def reseal(self, bootstrap: Bootstrap) -> None:
        """Write the file under another bootstrap key."""
        self._bootstrap = bootstrap
        await self.save()

    def __len__(self) -> int:
        return len(self._live())

    def _live(self) -> list[_Promise]:
        unix = time.time()
        for key, promise in list(self._promises.items()):
            if promise.slot.credential.valid_until <= unix:
                self._break(key)
        return list(self._promises.values())

    def _break(self, slot_id: bytes) -> None:
        del self._promises[slot_id]
        self._armory.disarm(slot_id)


def _same_client(one: _Promise, other: _Promise) -> bool:
    return one.client is not None and one.client == other.client
