"""Hand each client what it comes back with, and see whether it has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from clawchat.services.handover import write_handover
from clawchat.session.endpoint import Endpoint
from clawchat.values.errors import UsageError
from server.invitations import Maker
from server.logs import Log
from server.returning import Returning

LOOK_SECONDS: Final = 60.0
"""How often it is looked whether a client needs its next credential; it has hours to spare."""


class Handing:
    """Give credentials over streams of our own. ``wake`` asks the driver to send what was written."""

    def __init__(
        self, endpoint: Endpoint, returning: Returning, maker: Maker, log: Log, *, wake: Callable[[], None]
    ) -> None:
        self._endpoint = endpoint
        self._returning = returning
        self._maker = maker
        self._log = log
        self._wake = wake
        self._under_way: dict[tuple[int, int], bytes] = {}

    async def keep(self) -> None:
        """Give clients that stay a new credential in time, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for session, name in self._returning.due():
                await self.give(session, name)

    async def give(self, session_id: int, name: str) -> None:
        """Give a client what it comes back with."""
        slot = await self._returning.promise(session_id, name, self._maker)
        session = self._endpoint.sessions.get(session_id)
        if session is None:
            return
        try:
            stream = session.open_stream()
            session.write(stream, write_handover(slot.credential), fin=True)
            self._under_way[session_id, stream] = slot.credential.slot_id
        except UsageError as error:
            self._log.warning("next-credential-not-sent", session=session_id, reason=str(error))
        self._wake()

    async def readable(self, session_id: int, stream: int) -> None:
        """Note that a client has what was handed to it, if it ended its side of the stream."""
        session = self._endpoint.sessions.get(session_id)
        if session is None:
            return
        session.read(stream)
        if session.at_end(stream):
            await self._returning.settle(session_id, self._under_way.pop((session_id, stream)))

    def is_ours(self, session_id: int, stream: int) -> bool:
        """Tell whether a credential is under way on a stream."""
        return (session_id, stream) in self._under_way

    def ended(self, session_id: int) -> None:
        """Forget what was under way to a client that is gone; what it came by stays good."""
        for key in [key for key in self._under_way if key[0] == session_id]:
            del self._under_way[key]
        self._returning.ended(session_id)
