"""Reach a server with an opened security file, and see to it that there is a way back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from clawchat.net.connection import Connection
from clawchat.net.report import personal
from clawchat.net.user_events import Connected, Connecting, Notice, UserEvent
from clawchat.values.errors import PersonalError, SessionClosed
from client.dial import dialled
from client.keylog import KeyLog
from client.peer import describe_path
from client.plan import Plan
from client.returns import Handovers, KnownServers
from client.used import UsedFiles

HANDOVER_WAIT: Final = 2.0
"""A client that is done at once waits this long for the credential it may come back with."""


class Reached:
    """A connection, and what the server hands over on it."""

    def __init__(self, connection: Connection, plan: Plan, emit: Callable[[UserEvent], None]) -> None:
        self.connection = connection
        self.server = plan.opened.credential.name
        self._emit = emit
        self._known = KnownServers(plan.places.state)
        keep = functools.partial(self._known.keep, bootstrap=plan.opened.bootstrap, notes=plan.opened.notes)
        self._handovers = Handovers(connection, None if plan.forget else keep)
        self._task = asyncio.create_task(self._handovers.run())
        self._task.add_done_callback(self._not_kept)
        if plan.forget:
            self._known.forget(self.server)

    async def wait_handover(self) -> None:
        """Wait, for a moment, until there is a way back."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._handovers.kept.wait(), HANDOVER_WAIT)

    def with_way_back(self, error: BaseException) -> BaseException:
        """Say in the error of a session that ended how to connect again, if that can be done."""
        if isinstance(error, SessionClosed) and self.server in self._known.names():
            return PersonalError(error.code, str(error), f"Connect again: `clawchat connect {self.server}`.")
        return error

    def tell_way_back(self) -> None:
        """Say how to connect again without a new file, if that can be done."""
        if self.server in self._known.names():
            self._emit(Notice(f"to come back: `clawchat connect {self.server}`"))

    def stop(self) -> None:
        """Take nothing more."""
        self._task.cancel()

    def _not_kept(self, task: asyncio.Task[None]) -> None:
        """Say why there will be no way back without a new file; the session goes on."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._emit(Notice(f"the next credential could not be kept: {personal(error).cause}"))


@contextlib.asynccontextmanager
async def reached(plan: Plan, emit: Callable[[UserEvent], None]) -> AsyncIterator[Reached]:
    """Connect for as long as the context lasts; the security file is used from then on. Raises PersonalError."""
    credential = plan.opened.credential
    with contextlib.ExitStack() as stack:
        keylog = stack.enter_context(KeyLog(plan.keylog)) if plan.keylog else None
        emit(Connecting(credential.name, len(credential.candidates), plan.timeout))
        began = time.monotonic()
        async with dialled(plan, keylog) as connection:
            _remember_used(plan, emit)
            seconds = round(time.monotonic() - began, 3)
            emit(Connected(credential.name, connection.words, describe_path(connection.path), seconds))
            found = Reached(connection, plan, emit)
            stack.callback(found.stop)
            yield found


def _remember_used(plan: Plan, emit: Callable[[UserEvent], None]) -> None:
    """Note that the file is used; a disk that takes no note is no reason to end a session that is up."""
    try:
        UsedFiles(plan.places.state).remember(plan.opened.credential)
    except PersonalError as error:
        emit(Notice(f"it could not be noted that this file is used: {error.cause}"))
