"""Run one chat from the security file to the farewell."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from clawchat.crypto.credential import Credential
from clawchat.net.connection import Connection
from clawchat.net.paths import Places
from clawchat.net.report import action, exit_code, personal
from clawchat.net.user_events import Connected, Connecting, Problem, UserEvent
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import PersonalError
from client.dial import Call, dialled
from client.interrupts import Interrupts
from client.keylog import KeyLog
from client.link import Link
from client.peer import describe_path
from client.running import control_socket
from client.screen import Screen
from client.used import UsedFiles

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What ``clawchat connect`` was asked to do."""

    credential: Credential
    places: Places
    name: str
    room: str
    timeout: float
    keylog: pathlib.Path | None = None


async def converse(plan: Plan, make_screen: Callable[[], Screen]) -> int:
    """Connect, chat and close; return the exit code. What fails is shown as an event and raised."""
    screen = make_screen()
    try:
        with Interrupts() as interrupts, contextlib.ExitStack() as stack:
            keylog = stack.enter_context(KeyLog(plan.keylog)) if plan.keylog else None
            call = Call(plan.credential, plan.timeout, keylog)
            return await _converse(plan, call, screen, interrupts)
    except Exception as error:
        problem = personal(error)
        screen.show(Problem(problem.code, problem.cause, action(problem), exit_code(problem)))
        raise
    finally:
        screen.close()


async def reach(
    call: Call, used: UsedFiles, emit: Callable[[UserEvent], None], stack: contextlib.AsyncExitStack
) -> Connection:
    """Connect for as long as ``stack`` lasts; the file is used from then on."""
    credential = call.credential
    emit(Connecting(credential.name, len(credential.candidates), call.timeout))
    began = time.monotonic()
    connection = await stack.enter_async_context(dialled(call))
    used.remember(credential)
    seconds = round(time.monotonic() - began, 3)
    emit(Connected(credential.name, connection.words, describe_path(connection.path), seconds))
    return connection


async def _converse(plan: Plan, call: Call, screen: Screen, interrupts: Interrupts) -> int:
    async with contextlib.AsyncExitStack() as stack:
        reaching = reach(call, UsedFiles(plan.places.state), screen.show, stack)
        connection = await unless_interrupted(reaching, interrupts)
        link = Link(connection, server=plan.credential.name, name=plan.name, room=plan.room, emit=screen.show)
        await stack.enter_async_context(control_socket(plan.places.runtime, link))
        await unless_interrupted(link.open(), interrupts)
        talk = asyncio.create_task(screen.run(link))
        asked = asyncio.create_task(interrupts.asked.wait())
        await asyncio.wait({talk, asked, link.ended}, return_when=asyncio.FIRST_COMPLETED)
        if link.ended.done():
            raise ...
    return 0


async def unless_interrupted(work: Coroutine[Any, Any, T], interrupts: Interrupts) -> T:
    """Do some work, and give it up when a signal asks to end. Raises PersonalError (CC-INTERRUPTED) then."""
