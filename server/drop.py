"""Answer the HELLOs that clients leave in a drop folder, and publish security files there if that is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import pathlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from clawchat.crypto.secfile import MAX_FILE_BYTES
from clawchat.net import files
from clawchat.net.drop import Backoff, DirectoryDrop, Names, copies, names_of
from clawchat.session.carried import Acceptance
from clawchat.values.errors import PersonalError
from server.logs import Log

SWEEP_SECONDS: Final = 3600.0
"""How often what others left behind is looked for."""


class Answerer(Protocol):
    """What the drop folder needs of the endpoint."""

    @property
    def mailboxes(self) -> Mapping[bytes, bytes]:
        """The names of the meeting places of armed slots, by slot id."""

    def accept_hello(self, data: bytes, *, port: int, now: float) -> Acceptance | None:
        """Answer a HELLO, or refuse it."""

    def answer_was_read(self, session_id: int, *, now: float) -> None:
        """Learn that the client has read our WELCOME."""


@dataclass(slots=True)
class _Box:
    """The two files of one slot: which HELLOs were looked at, and for which session the WELCOME lies there."""

    names: Names
    seen: set[bytes] = field(default_factory=set)
    session: int | None = None


class DropWatch:
    """Look after one drop folder until cancelled.

    ``flush`` sends what the endpoint wants to send: our NAT is open before the answer can be read.
    ``published`` lists the security files that are to lie there, by name.
    """

    def __init__(  # noqa: PLR0913 - what it joins together
        self,
        directory: pathlib.Path,
        endpoint: Answerer,
        port: int,
        log: Log,
        *,
        flush: Callable[[], None],
        published: Callable[[], Mapping[str, pathlib.Path]],
    ) -> None:
        self._drop = DirectoryDrop(directory)
        self._endpoint = endpoint
        self._port = port
        self._log = log
        self._flush = flush
        self._published = published
        self._boxes: dict[bytes, _Box] = {}
        self._public: dict[str, bytes] = {}
        self._complaint = ""

    async def run(self) -> None:
        """Watch until cancelled."""
        backoff = Backoff()
        swept_at = 0.0
        while True:
            try:
                if time.monotonic() > swept_at + SWEEP_SECONDS:
                    await asyncio.to_thread(self._drop.sweep)
                    swept_at = time.monotonic()
                if await self.look():
                    backoff.reset()
                self._complaint = ""
            except PersonalError as error:
                if error.cause != self._complaint:
                    self._log.error("drop-folder", code=error.code, cause=error.cause)
                self._complaint = error.cause
            await asyncio.sleep(backoff.take())

    async def look(self) -> bool:
        """Look once; tell whether anything happened. Raises PersonalError (CC-DROP)."""
        listing = await asyncio.to_thread(self._drop.list)
        happened = await asyncio.to_thread(self._publish)
        mailboxes = self._endpoint.mailboxes
        for slot_id in [slot_id for slot_id in self._boxes if slot_id not in mailboxes]:
            await asyncio.to_thread(self._clear, self._boxes.pop(slot_id), listing)
        for slot_id, mailbox in mailboxes.items():
            box = self._boxes.get(slot_id)
            if box is None:
                box = self._boxes[slot_id] = _Box(names_of(mailbox))
            if box.session is not None and not copies(listing, box.names.welcome):
                self._endpoint.answer_was_read(box.session, now=time.monotonic())
                self._flush()
                box.session = None
                happened = True
            for name in copies(listing, box.names.hello):
                happened |= await self._take(box, name)
        return happened

    def close(self) -> None:
        """Remove what this server put there: it dies with this process."""
        with contextlib.suppress(PersonalError):
            listing = self._drop.list()
            for box in self._boxes.values():
                if box.session is not None:
                    self._clear(box, listing)
            for name in self._public:
                self._drop.delete(name)
        self._boxes.clear()
        self._public.clear()

    async def _take(self, box: _Box, name: str) -> bool:
        """Answer one HELLO, unless it was looked at before; what is half written will look different again."""
        data = await asyncio.to_thread(self._drop.get, name)
        digest = hashlib.sha256(data).digest()
        if not data or digest in box.seen:
            return False
        box.seen.add(digest)
        accepted = self._endpoint.accept_hello(data, port=self._port, now=time.monotonic())
        if accepted is None:
            return False
        self._flush()
        await asyncio.to_thread(self._drop.put, box.names.welcome, accepted.welcome)
        box.session = accepted.session
        self._log.info("answered-by-file", session=accepted.session, way="drop folder")
        return True

    def _clear(self, box: _Box, listing: list[str]) -> None:
        for name in [*copies(listing, box.names.hello), *copies(listing, box.names.welcome)]:
            self._drop.delete(name)

    def _publish(self) -> bool:
        """Let the security files there be those of now; tell whether any was another."""
        changed = False
        wanted = self._published()
        for name in [name for name in self._public if name not in wanted]:
            self._drop.delete(name)
            del self._public[name]
        for name, path in wanted.items():
            try:
                data = files.read_private(path, MAX_FILE_BYTES)
            except PersonalError:
                continue  # it was used or replaced just now
            if self._public.get(name) != data:
                self._drop.put(name, data, mode=files.PRIVATE_FILE)
                self._public[name] = data
                changed = True
        return changed
