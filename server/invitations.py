"""Security files: make them, arm what is in them, replace them in time, and burn them when a client has joined."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from clawchat.crypto.bootstrap import Bootstrap, KeyFile
from clawchat.crypto.credential import Slot, check_name, make_slot
from clawchat.crypto.derive import wipe
from clawchat.crypto.secfile import MAX_FILE_BYTES, seal_file
from clawchat.net import files
from clawchat.net.clock import sleepless
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from server.home import Home
from server.logs import Log
from server.settings import Settings
from server.slots import Burnt, Timetable, View

DEFAULT_NAME: Final = "default"
LOOK: Final = 30.0
"""The event loop's timers stand still while a machine sleeps, so the time is looked at this often, seconds."""


class Armory(Protocol):
    """What invitations need of the endpoint."""

    def arm(self, slot: Slot, *, deadline: float) -> None:
        """Let a slot be joined."""

    def disarm(self, slot_id: bytes) -> None:
        """Let it be joined no more, and wipe it."""


@dataclass(frozen=True, slots=True)
class Maker:
    """Make slots of this server: its name, its header key, and where it may be reached just now."""

    name: str
    hello_header_key: bytearray
    relays: Sequence[str]
    candidates: Callable[[], Sequence[Address]]

    def make(self, seconds: float) -> Slot:
        """Make a slot whose credential says that it lives for some seconds from now."""
        return make_slot(
            secrets.token_bytes,
            name=self.name,
            hello_header_key=self.hello_header_key,
            candidates=self.candidates(),
            relays=self.relays,
            timestamp=int(time.time()),
            validity=max(1, round(seconds)),
        )

    def wipe(self) -> None:
        """Overwrite the header key: nothing is made with it any more."""
        wipe(self.hello_header_key)


class Invitations:
    """Keep the security files of all invitations, on time by a clock that nobody sets and that never sleeps."""

    def __init__(  # noqa: PLR0913 - what it joins together
        self, home: Home, settings: Settings, bootstrap: Bootstrap, maker: Maker, armory: Armory, log: Log
    ) -> None:
        self._home = home
        self._always = settings.security.always_available
        self._validity = settings.security.file_validity_minutes * 60
        self._bootstrap = bootstrap
        self._maker = maker
        self._armory = armory
        self._log = log
        renew_every = min(settings.security.auto_regenerate_minutes * 60, self._validity)
        self._timetable = Timetable(validity=self._validity, renew_every=renew_every)
        self._making = asyncio.Lock()
        self._changed = asyncio.Event()
        self._written: dict[str, bytes] = {}

    async def open(self, name: str) -> pathlib.Path:
        """Make the file of an invitation, new or again, and return its path.

        Raises PersonalError: CC-NAME, CC-REFUSED, or what kept the file from being written.
        """
        check_name(name)
        is_new = name not in self._timetable
        self._timetable.invite(name, now=sleepless())
        try:
            await self._make(name)
        except PersonalError:
            if is_new:
                self._timetable.withdraw(name)
            raise
        self._changed.set()
        return self._home.security_file(name)

    def withdraw(self, name: str) -> None:
        """End an invitation that nobody has used. Raises PersonalError (CC-NAME)."""
        burnt = self._timetable.withdraw(name)
        if burnt is None:
            raise PersonalError(
                "CC-NAME", f"there is no open invitation {name!r}", "`clawchat-server status` lists them."
            )
        self._destroy(burnt)
        self._log.info("invitation-withdrawn", name=name)

    def burn(self, slot_id: bytes) -> str | None:
        """Destroy what is left of the invitation a client has used; return its name, None for no invitation's slot."""
        burnt = self._timetable.burn(slot_id)
        if burnt is None:
            return None
        self._destroy(burnt)
        self._log.info("invitation-used", name=burnt.name)
        if burnt.name == DEFAULT_NAME and self._always:
            self._timetable.invite(DEFAULT_NAME, now=sleepless())
            self._changed.set()
        return burnt.name

    async def keep(self) -> None:
        """Replace and expire files until cancelled."""
        while True:
            now = sleepless()
            for name in self._timetable.due(now=now):
                try:
                    await self._make(name)
                except PersonalError as error:
                    self._timetable.failed(name, now=now)
                    self._log.error("file-not-written", name=name, code=error.code, cause=error.cause)
            for slot_id in self._timetable.expire(now=sleepless()):
                self._armory.disarm(slot_id)
            deadline = self._timetable.next_deadline()
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                # not wait_for: Python 3.11's loses a cancellation that comes together with the event
                async with asyncio.timeout(None if deadline is None else min(max(0.0, deadline - sleepless()), LOOK)):
                    await self._changed.wait()

    async def renew_all(self, bootstrap: Bootstrap) -> None:
        """Make all files again, under another bootstrap key."""
        self._bootstrap = bootstrap
        for view in self.views():
            await self._make(view.name)

    async def renew(self) -> None:
        """Make all files again, because what stands in them has changed; older ones stay good for their time."""
        for view in self.views():
            try:
                await self._make(view.name)
            except PersonalError as error:
                self._log.error("file-not-written", name=view.name, code=error.code, cause=error.cause)

    def close(self) -> None:
        """Remove all files: what is in them dies with this process."""
        for view in self.views():
            burnt = self._timetable.withdraw(view.name)
            if burnt is not None:
                self._destroy(burnt)

    def forget(self) -> None:
        """Forget every invitation; who destroys the keys destroys the files as well."""
        for view in self.views():
            self._timetable.withdraw(view.name)

    def views(self) -> list[View]:
        """Describe the open invitations."""
        return self._timetable.views(now=sleepless())

    def path(self, name: str) -> pathlib.Path:
        """Name the file of an invitation."""
        return self._home.security_file(name)

    def is_intact(self, name: str) -> bool:
        """Tell whether the file of an invitation can be read, and is as we wrote it."""
        try:
            return files.read_private(self.path(name), MAX_FILE_BYTES) == self._written.get(name)
        except PersonalError:
            return False

    def files(self) -> dict[str, pathlib.Path]:
        """Return the open invitations' files by their names."""
        found = [self.path(view.name) for view in self.views()]
        return {path.name: path for path in found}

    async def _make(self, name: str) -> None:
        """Write a new file and arm its credential; the one before stays armed until its own time is over."""
        async with self._making:
            slot = self._maker.make(self._validity)
            started = sleepless()
            try:
                if isinstance(self._bootstrap, KeyFile):
                    data = self._seal(slot)
                else:  # a passphrase is stretched for a tenth of a second, which the network must not wait for
                    data = await asyncio.to_thread(self._seal, slot)
                if name not in self._timetable:
                    slot.wipe()
                    return
                files.write_private(self._home.security_file(name), data)
                self._written[name] = data
            except BaseException:
                slot.wipe()
                raise
            life = self._timetable.made(name, slot.credential.slot_id, now=started) - sleepless()
            self._armory.arm(slot, deadline=time.monotonic() + life)
        self._log.info("file-written", name=name, file=str(self._home.security_file(name)), seconds=self._validity)

    def _seal(self, slot: Slot) -> bytes:
        return seal_file(slot.credential, self._bootstrap, secrets.token_bytes)

    def _destroy(self, burnt: Burnt) -> None:
        self._written.pop(burnt.name, None)
        for slot_id in burnt.slot_ids:
            self._armory.disarm(slot_id)
        try:
            files.remove(self._home.security_file(burnt.name))
        except PersonalError as error:
            self._log.error("file-not-removed", name=burnt.name, code=error.code, cause=error.cause)
