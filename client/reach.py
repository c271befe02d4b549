"""Reach a server with an opened security file, and see to it that there is a way back."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from clawchat.net.report import personal
from clawchat.net.user_events import Connected, Connecting, Notice, PathChanged, UserEvent
from clawchat.values.address import Path
from clawchat.values.errors import Compromised, PersonalError, SessionClosed
from client.destruction import destroy, what_to_do
from client.dial import Dialled, dialled
from client.keylog import KeyLog
from client.peer import describe_path
from client.plan import Plan
from client.returns import Handovers, KnownServers
from client.settings import Way
from client.used import UsedFiles

HANDOVER_WAIT: Final = 2.0
"""A client that is done at once waits this long for the credential it may come back with."""


class Reached:
    """A connection, and what the server hands over on it."""

    def __init__(self, dialled_: Dialled, plan: Plan, emit: Callable[[UserEvent], None]) -> None:
        connection = self.connection = dialled_.connection
        self.ways = dialled_.ways
        self.server = plan.opened.credential.name
        self._plan = plan
        self._emit = emit
        self._known = KnownServers(plan.places.state)
        keep = functools.partial(self._known.keep, bootstrap=plan.opened.bootstrap, notes=plan.opened.notes)
        self._handovers = Handovers(connection, None if plan.forget else keep)
        self._task = asyncio.create_task(self._handovers.run())
        self._task.add_done_callback(self._not_kept)
        if plan.forget:
            self._known.forget(self.server)

    async def wait_direct(self, seconds: float) -> None:
        """Wait until no relay is needed, and leave them. Raises PersonalError: CC-NO-DIRECT-PATH, SessionClosed."""
        changed = asyncio.Event()
        tell = self.connection.on_path

        def on_path(path: Path, why: str) -> None:
            changed.set()
            if tell is not None:
                tell(path, why)

        self.connection.on_path = on_path
        self.connection.on_closed = lambda _: changed.set()
        try:
            async with asyncio.timeout(seconds):
                while self.connection.path.relayed and self.connection.error is None:
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            await self.wait_handover()
            raise self._no_direct_path(seconds) from None
        finally:
            self.connection.on_path, self.connection.on_closed = tell, None
        if self.connection.error is not None:
            raise self.connection.error
        self.ways.leave()

    def _no_direct_path(self, seconds: float) -> PersonalError:
        cause = f"{self.server} was reached over a relay, but not directly within {seconds:g} s"
        back = f"clawchat connect {self.server}" if self.server in self._known.names() else "clawchat connect FILE.sec"
        return PersonalError("CC-NO-DIRECT-PATH", cause, f"Let the relay carry it: `{back} --path auto`.")

    async def wait_handover(self) -> None:
        """Wait, for a moment, until there is a way back."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._handovers.kept.wait(), HANDOVER_WAIT)

    def with_way_back(self, error: BaseException) -> BaseException:
        """Say in the error of a session that ended how to connect again, if that can be done."""
        if isinstance(error, Compromised):
            return what_to_do(error)
        if isinstance(error, SessionClosed) and self.server in self._known.names():
            return PersonalError(error.code, str(error), f"Connect again: `clawchat connect {self.server}`.")
        return error

    def destroy_if_compromised(self) -> None:
        """Destroy what we have of a server whose keys were declared compromised, by it or by us."""
        error = self.connection.error
        if isinstance(error, Compromised):
            self.stop()
            self.connection.compromise()  # what else this end holds, such as sessions with relays
            found = destroy(self._plan, self._known, everything=error.everything)
            self._emit(Notice("destroyed: " + ", ".join(found or ["every key in memory"])))

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
        ways = (0 if plan.way is Way.RELAY else len(credential.candidates)), len(credential.relays)
        emit(Connecting(credential.name, ways[0], plan.timeout if plan.post is None else plan.post_timeout, ways[1]))
        if plan.post is not None:
            emit(Notice(plan.post.instructions))
        began = time.monotonic()
        async with dialled(plan, keylog) as found_ways:
            connection = found_ways.connection
            if not plan.opened.back:
                _remember_used(plan, emit)
            credential.wipe()  # it has done what it is for

            def named(path: Path) -> str:
                return describe_path(path, tunnelled=connection.tunnelled)

            connection.on_path = lambda path, why: emit(PathChanged(named(path), why))
            seconds = round(time.monotonic() - began, 3)
            emit(Connected(credential.name, connection.words, named(connection.path), seconds))
            found = Reached(found_ways, plan, emit)
            stack.callback(found.stop)
            try:
                if plan.way is Way.DIRECT and connection.path.relayed:
                    await found.wait_direct(plan.timeout)
                yield found
            finally:
                found.destroy_if_compromised()


def _remember_used(plan: Plan, emit: Callable[[UserEvent], None]) -> None:
    """Note that the file is used; a disk that takes no note is no reason to end a session that is up."""
    try:
        UsedFiles(plan.places.state).remember(plan.opened.credential)
    except PersonalError as error:
        emit(Notice(f"it could not be noted that this file is used: {error.cause}"))
