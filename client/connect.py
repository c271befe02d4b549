"""Run one chat from the opened security file to the farewell."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from clawchat.net.report import action, exit_code, personal
from clawchat.net.user_events import Problem
from client.conversation import Conversation
from client.interrupts import Interrupts, unless_interrupted, when_compromised
from client.line import Line
from client.link import Link
from client.memory import kept_memory
from client.plan import Plan
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
    line = await unless_interrupted(Line.dial(plan, screen.show), interrupts)
    async with contextlib.AsyncExitStack() as stack:
        kept = stack.enter_context(kept_memory(plan, screen.show))
        server = line.reached
        link = Link(
            server.connection,
            server=server.server,
            name=plan.name,
            room=plan.room,
            token=plan.opened.notes.token,
            emit=screen.show,
            why_relayed=server.ways.why_relayed,
            memory=kept.memory,
            keep=kept.keep,
        )
        screen.attach(link)
        stack.enter_context(when_compromised(link.compromise))
        conversation = Conversation(plan, line, link, screen, interrupts)
        stack.push_async_callback(conversation.hang_up)
        await stack.enter_async_context(control_socket(plan.places.runtime, link, screen.show))
        try:
            await unless_interrupted(link.open(), interrupts)
            code = await conversation.run()
        except BaseException as error:
            await link.close()
            told = personal(conversation.line.reached.with_way_back(error))
            screen.show(link.closed(told.code, told.cause))
            raise told from error
        conversation.line.reached.tell_way_back()
        await link.close()
        screen.show(link.closed("CC-SESSION-CLOSED", ""))
        return code
