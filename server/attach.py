"""The operator's place in the chat: a prompt on a terminal, plain lines otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from clawchat.net.control import Channel, open_channel
from clawchat.net.report import one_line
from clawchat.services.chat import (
    Accepted,
    Delivered,
    Join,
    Joined,
    Leave,
    Left,
    List,
    Members,
    Message,
    Missed,
    Received,
    Refused,
    Renamed,
    Rooms,
    Say,
    ToClient,
    ToServer,
    Welcome,
    Who,
)
from clawchat.services.chat_codec import read_to_client, to_json
from clawchat.services.chat_fields import clean_text, is_name
from clawchat.values.errors import ProtocolViolation
from server.home import Home

HELP: Final = """\
A line is said in the room; a line that begins with / is a command:
  /who             who is in the room        /to NAME TEXT  say something to one person alone
  /rooms           which rooms there are     /join ROOM     go to another room
  /quit            leave the chat            /leave ROOM    leave a room
  //text           say a text that begins with /"""


class Attached:
    """One operator in the chat: what a typed line means, and what is shown."""

    def __init__(self, channel: Channel, name: str, show: Callable[[str], None]) -> None:
        self._channel = channel
        self._show = show
        self._ids = 0
        self._pending: set[str] = set()
        self._told = asyncio.Event()
        self.name = name
        self.room: str | None = None

    async def type(self, line: str) -> bool:
        """Do what a line asks for; return False when it asks to leave."""
        line = line.strip()
        if not line.startswith("/") or line.startswith("//"):
            if line:
                await self._say(line.removeprefix("/") if line.startswith("//") else line)
            return True
        word, _, rest = line.removeprefix("/").partition(" ")
        name, _, text = rest.strip().partition(" ")
        match word:
            case "quit" | "q" | "exit":
                return False
            case "who":
                await self._send(Who(name or self.room or ""), name or self.room)
            case "rooms":
                await self._send(List())
            case "join":
                await self._send(Join(name), name)
            case "leave":
                await self._send(Leave(name or self.room or ""), name or self.room)
            case "to" if text.strip() and is_name(name):
                await self._say(text.strip(), to=name)
            case _:
                self._show(HELP)
        return True

    async def listen(self) -> None:
        """Show what is said until the server ends, and confirm what was shown."""
        async for value in self._channel.objects():
            try:
                told = read_to_client(value)
            except ProtocolViolation:
                continue  # a server of another version
            self._follow(told)
            text = describe(told, self.name)
            if text:
                self._show(text)
            if isinstance(told, Message) and not told.past:
                await self._channel.send(to_json(Received((told.number,))))
        self._show("* the server has ended")

    async def settle(self, timeout: float) -> None:
        """Wait until the server has everything that was said, for a script that ends after its last line."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._pending:
                    self._told.clear()
                    await self._told.wait()

    async def _say(self, text: str, to: str | None = None) -> None:
        self._ids += 1
        self._pending.add(str(self._ids))
        await self._send(Say(str(self._ids), clean_text(text), room=None if to else self.room, to=to))

    async def _send(self, message: ToServer, *names: str | None) -> None:
        if all(name is not None and is_name(name) for name in names):
            await self._channel.send(to_json(message))
        else:
            self._show(HELP)

    def _follow(self, told: ToClient) -> None:
        match told:
            case Joined(room=room, members=members) if members is not None:
                self.room = room
            case Left(room=room, name=name) if name == self.name and room == self.room:
                self.room = None
            case Renamed(old=old, new=new) if old == self.name:
                self.name = new
            case Accepted(id=said) | Refused(about=said):
                self._pending.discard(said)
                self._told.set()
            case _:
                pass


def describe(told: ToClient, own_name: str) -> str:  # noqa: PLR0911 - one sentence a message
    """Put into words what the server told; empty for what needs none."""
    match told:
        case Message(sender=sender, text=text, room=room, to=to):
            lines = [one_line(line) for line in text.split("\n")]
            where = "to you" if to is not None else room
            return f"[{where}] {sender}: " + "\n    ".join(lines)
        case Joined(room=room, members=members) if members is not None:
            others = ", ".join(name for name in members if name != own_name)
            return f"* you are in {room}, with {others or 'nobody else'}"
        case Joined(room=room, name=name):
            return f"* {name} is in {room} now"
        case Left(room=room, name=name, why=why):
            return f"* {name} left {room}" + (f" ({why})" if why not in {"", "left"} else "")
        case Renamed(old=old, new=new):
            return f"* {old} is called {new} now"
        case Members(room=room, names=names):
            return f"* in {room}: {', '.join(names) or 'nobody'}"
        case Rooms(names=names, counts=counts):
            return "* rooms: " + ", ".join(f"{name} ({count})" for name, count in zip(names, counts, strict=False))
        case Delivered(name=name):
            return f"  ✓ {name} has it"
        case Refused(about=about, reason=reason):
            return f"* refused: {about}: {reason}"
        case Missed(count=count):
            return f"* {count} messages were left out, because this terminal was too slow"
        case Welcome() | Accepted():
            return ""


async def attach(home: Home, name: str | None) -> None:
    """Take part in the chat of the running server until one of both leaves. Raises PersonalError."""
    wish = name or os.environ.get("USER") or os.environ.get("USERNAME") or ""
    channel, hello = await open_channel(home.control, "attach", name=wish)
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        await (_at_terminal if interactive else _with_lines)(channel, hello)
    finally:
        await channel.close()


async def _at_terminal(channel: Channel, hello: dict[str, Any]) -> None:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    attached = Attached(channel, str(hello["name"]), print)
    prompt: PromptSession[str] = PromptSession()
    with patch_stdout():
        print(f"* you are {attached.name} on {hello['server']}; /help lists the commands, /quit leaves")
        listening = asyncio.create_task(attached.listen())
        try:
            while not listening.done():
                asking = asyncio.create_task(prompt.prompt_async(lambda: f"{attached.room or '-'}> "))
                await asyncio.wait({asking, listening}, return_when=asyncio.FIRST_COMPLETED)
                if not asking.done():
                    asking.cancel()
                if not await attached.type(await asking):
                    return
        except (EOFError, KeyboardInterrupt, asyncio.CancelledError):
            return
        finally:
            listening.cancel()


# How long a script's last lines may take to reach the server.
LAST_WORDS: Final = 5.0


async def _with_lines(channel: Channel, hello: dict[str, Any]) -> None:
    """Say each line of standard input, print each thing said; the end of the input leaves."""
    attached = Attached(channel, str(hello["name"]), _print_at_once)
    listening = asyncio.create_task(attached.listen())
    typing = asyncio.create_task(_type_lines(attached))
    try:
        await asyncio.wait({listening, typing}, return_when=asyncio.FIRST_COMPLETED)
        await attached.settle(0 if listening.done() else LAST_WORDS)
    finally:
        for task in (listening, typing):
            task.cancel()
        await asyncio.gather(listening, typing, return_exceptions=True)


async def _type_lines(attached: Attached) -> None:
    async for line in _input_lines():
        if not await attached.type(line):
            return


async def _input_lines() -> AsyncIterator[str]:
    """Read standard input without keeping the loop or the program's end waiting."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    try:
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    except ValueError:  # a regular file is never waited for
        for line in sys.stdin:
            yield line
        return
    while line_bytes := await reader.readline():
        yield line_bytes.decode(errors="replace")


def _print_at_once(text: str) -> None:
    print(text, flush=True)
