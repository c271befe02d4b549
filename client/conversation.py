"""A conversation: one session after the other, for as long as the server takes us back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from clawchat.net.user_events import ComingBack
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import ClawchatError, PersonalError, SessionClosed
from client.interrupts import INTERRUPTED, Interrupts
from client.line import Line, is_lost, quietly, seconds_left, way_back
from client.link import Link
from client.plan import Plan
from client.screen import Screen

T = TypeVar("T")

KNOCK_AFTER: Final = 10.0
"""A server that is silent for this long may have been killed, and started again without our session."""

LOOK: Final = 1.0
"""How often it is looked how long the silence lasts, seconds."""

PAUSE: Final = 1.0
"""The time between two tries to come back, seconds: one that fails at once must not be repeated at once."""


class Conversation:
    """Talk over the line until the user is done; dial again when it is lost."""

    def __init__(self, plan: Plan, line: Line, link: Link, screen: Screen, interrupts: Interrupts) -> None:
        self.line = line
        self._plan = plan
        self._link = link
        self._screen = screen
        self._interrupts = interrupts
        self._done: set[asyncio.Task[Any]] = set()

    async def run(self) -> int:
        """Let the screen run until the user is done. Raises what ends the conversation from outside."""
        talk = asyncio.create_task(self._screen.run())
        self._done = {talk, asyncio.create_task(self._interrupts.asked.wait())}
        try:
            while (trouble := await self._unless_done(self._trouble())) is not None:
                await self._come_back(trouble.error)
            if not talk.done():
                raise PersonalError(INTERRUPTED, "interrupted")
            if (code := talk.result()) == ExitCode.INTERRUPTED:
                self._interrupts.asked.set()
            else:
                await self.line.reached.wait_handover()
            return code
        finally:
            for task in self._done:
                task.cancel()
            await asyncio.gather(*self._done, return_exceptions=True)
            self._interrupts.arm()

    async def hang_up(self) -> None:
        """Let go of the line that is in use."""
        await self.line.hang_up()

    async def _unless_done(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Do some work; give it up, and return None, once the user is done."""
        task = asyncio.create_task(work)
        waited: set[asyncio.Task[Any]] = {task, *self._done}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            return None if any(each.done() for each in self._done) else task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _trouble(self) -> _Trouble:
        """Wait until the session is over, or silent for long."""
        link = self._link
        while not link.ended.done() and link.pulse.waiting < KNOCK_AFTER:
            await asyncio.wait({link.ended}, timeout=LOOK)
        return _Trouble(link.ended.result() if link.ended.done() else None)

    async def _come_back(self, error: ClawchatError | None) -> None:
        """Replace a session that ended with an error, or one that is silent (None) unless it is heard again."""
        if error is not None and not (self._plan.patience > 0 and is_lost(error)):
            raise error
        plan = way_back(self._plan)
        if plan is None or not self._plan.patience:
            if error is not None:
                raise error
            await self._unless_done(self._heard_or_over())
            return
        if error is not None:
            patience = min(self._plan.patience, seconds_left(plan))
            self._screen.show(ComingBack(self._link.server, str(error), round(patience)))
        await self._unless_done(self._dial_until(time.monotonic() + self._plan.patience, error))

    async def _dial_until(self, deadline: float, error: ClawchatError | None) -> None:
        """Dial again and again. Raises what ended the session once there is no more patience or no way back."""
        while True:
            plan = way_back(self._plan)
            if plan is None or time.monotonic() > deadline:
                if error is not None:
                    raise error
                return
            line = await self._dial(plan, needed=error is not None)
            if line is not None:
                await self._go_over(line)
                return
            if error is None and not self._silent():
                return
            if self._link.ended.done():
                error = error or self._link.ended.result()
            await asyncio.sleep(PAUSE)

    async def _dial(self, plan: Plan, *, needed: bool) -> Line | None:
        """Try once; give it up, unless it is needed, when the session that is there is heard again."""
        dialling = asyncio.create_task(Line.dial(plan, quietly(self._screen.show)))
        taken = False
        try:
            while not dialling.done() and (needed or self._link.ended.done() or self._silent()):
                await asyncio.wait({dialling}, timeout=LOOK)
            if not dialling.done() or isinstance(dialling.exception(), PersonalError | SessionClosed):
                return None
            taken = True
            return dialling.result()
        finally:
            if not taken:
                dialling.cancel()
                await asyncio.gather(dialling, return_exceptions=True)
                if not dialling.cancelled() and dialling.exception() is None:
                    await dialling.result().hang_up()

    async def _go_over(self, line: Line) -> None:
        before, self.line = self.line, line
        try:
            await self._link.move(line.reached.connection, line.reached.ways.why_relayed)
        finally:
            await before.hang_up()

    def _silent(self) -> bool:
        return self._link.pulse.waiting >= KNOCK_AFTER

    async def _heard_or_over(self) -> None:
        link = self._link
        while self._silent() and not link.ended.done():
            await asyncio.wait({link.ended}, timeout=LOOK)


class _Trouble:
    """Why another session is looked for: the old one ended (``error``), or it is silent."""

    def __init__(self, error: ClawchatError | None) -> None:
        self.error = error
