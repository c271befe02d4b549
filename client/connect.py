"""Run one chat from the opened security file to the farewell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from clawchat.net.report import action, exit_code, personal
from clawchat.net.user_events import Problem
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError
from client.interrupts import INTERRUPTED, Interrupts, unless_interrupted
from client.link import Link
from client.plan import Plan
from client.reach import Reached, reached
from client.running import control_socket
from client.screen import Screen


async def converse(plan: Plan, make_screen: Callable[[], Screen]) -> int:
    """Connect, chat and close; return the exit code. What fails is shown as an event and raised."""
    screen = make_screen()
    try:
        with Interrupts() as interrupts:
            return await _converse(plan, screen, interrupts)
    except Exception as error:
        problem = personal(error)
        screen.show(Problem(problem.code, problem.cause, action(problem), exit_code(problem)))
        raise
    finally:
        screen.close()


async def _converse(plan: Plan, screen: Screen, interrupts: Interrupts) -> int:
    async with contextlib.AsyncExitStack() as stack:
        reaching = stack.enter_async_context(reached(plan, screen.show))
        server = await unless_interrupted(reaching, interrupts)
        link = Link(
            server.connection,
            server=server.server,
            name=plan.name,
            room=plan.room,
            token=plan.opened.notes.token,
            emit=screen.show,
            why_relayed=server.ways.why_relayed,
        )
        screen.attach(link)
        await stack.enter_async_context(control_socket(plan.places.runtime, link, screen.show))
        try:
            code = await _talk(link, server, screen, interrupts)
        except BaseException as error:
            await link.close()
            told = personal(server.with_way_back(error))
            screen.show(link.closed(told.code, told.cause))
            raise told from error
        server.tell_way_back()
        await link.close()
        screen.show(link.closed("CC-SESSION-CLOSED", ""))
        return code


async def _talk(link: Link, server: Reached, screen: Screen, interrupts: Interrupts) -> int:
    """Let the screen run until the user is done; raises what ends the chat from outside."""
    await unless_interrupted(link.open(), interrupts)
    talk = asyncio.create_task(screen.run())
    asked = asyncio.create_task(interrupts.asked.wait())
    waited: set[asyncio.Future[Any]] = {talk, asked, link.ended}
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not talk.done():
            raise link.ended.result() if link.ended.done() else PersonalError(INTERRUPTED, "interrupted")
        if (code := talk.result()) == ExitCode.INTERRUPTED:
            interrupts.asked.set()
        else:
            await server.wait_handover()
        return code
    finally:
        for task in (talk, asked):
            task.cancel()
        await asyncio.gather(talk, asked, return_exceptions=True)
        interrupts.arm()
