"""Carry out a line that somebody typed or a program sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from clawchat.net.user_events import Notice, UserEvent
from client.commands import Command, Line, Say, help_text
from client.link import Link

PING_TIMEOUT: Final = 5.0
SESSION: Final = "session"
DOUBT: Final = {
    False: "This destroys every key, credential and security file that this machine has of the server, and all that "
    "the server has given to anybody. It can't be undone. Type YES to do it.",
    True: "This destroys the keys of this session on both ends; you need a new security file. Type YES to do it.",
}
"""What a person is asked, by whether only the session is meant."""


async def do(line: Line, link: Link, show: Callable[[UserEvent], None]) -> bool:
    """Do it; tell whether to go on. Raises UsageError for a text or a name that can't be."""
    if link.doubted is not None:
        return _settle(line, link, show)
    if isinstance(line, Say):
        link.say(line.text, to=line.to, room=line.room)
        return True
    return await _command(line, link, show)


def _settle(line: Line, link: Link, show: Callable[[UserEvent], None]) -> bool:
    """Destroy what a person was asked about, if the answer is YES and nothing else."""
    doubted, link.doubted = link.doubted, None
    if isinstance(line, Say) and line.text == "YES" and line.to is None:
        link.compromise(everything=doubted != SESSION)
    else:
        show(Notice("nothing was destroyed"))
    return True


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
        case "compromised":
            link.doubted = command.argument
            show(Notice(DOUBT[command.argument == SESSION]))
        case "hop":
            link.hop()
        case "rekey":
            link.rekey()
        case "status":
            show(link.status())
        case _:
            return False
    return True
