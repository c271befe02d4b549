"""Carry out a line that somebody typed or a program sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from clawchat.net.user_events import Notice, UserEvent
from client.commands import Command, Line, Say, help_text
from client.link import Link

PING_TIMEOUT: Final = 5.0


async def do(line: Line, link: Link, show: Callable[[UserEvent], None]) -> bool:
    """Do it; tell whether to go on. Raises UsageError for a text or a name that can't be."""
    if isinstance(line, Say):
        link.say(line.text, to=line.to, room=line.room)
        return True
    return await _command(line, link, show)


async def _command(command: Command, link: Link, show: Callable[[UserEvent], None]) -> bool:
    room = command.argument.removeprefix("#")
    match command.word:
        case "help":
            show(Notice(help_text()))
        case "who":
            link.who(room or link.room)
        case "rooms":
            link.list_rooms()
        case "join":
            link.join(room)
        case "leave":
            link.leave(room or link.room)
        case "name":
            link.rename(command.argument)
        case "ping":
            show(await link.ping(PING_TIMEOUT))
        case "rekey":
            link.rekey()
        case "status":
            show(link.status())
        case _:
            return False
    return True
