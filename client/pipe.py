"""Chat through pipes: lines of text or of JSON in and out, for scripts, bots and ``| tee``."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from clawchat.net.events_json import encode
from clawchat.net.user_events import Message, Problem, UserEvent
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import UsageError
from client.commands import Line, Say, parse_record
from client.doing import do
from client.link import Link
from client.pipes import Output, read_lines
from client.render import describe, indented, plain, safe

READERS_WAIT: Final = 10.0
"""Wait this long for readers to confirm what the server has, unless ``--linger`` says otherwise."""

MAX_UNACCEPTED: Final = 64
"""Standard input is not read further while this many texts wait for the server."""

STDIN, STDOUT, STDERR = 0, 1, 2


class Pipe:
    """Read standard input to its end, then wait until all of it has arrived.

    ``linger`` bounds that wait; without it the server's receipts are waited for as long as the session lives.
    ``listen`` is how long to go on reading messages after that.
    """

    def __init__(self, *, as_json: bool, linger: float | None = None, listen: float = 0.0) -> None:
        self._json = as_json
        self._linger = linger
        self._listen = listen
        self._link: Link | None = None
        self._wrong_lines = 0
        self._loop = asyncio.get_running_loop()
        self._unread = asyncio.Event()
        self._out = Output(STDOUT, self._on_broken)
        self._err = Output(STDERR, lambda: None)

    def attach(self, link: Link) -> None:
        """Learn of the link before anything happens on it."""
        self._link = link

    def show(self, event: UserEvent) -> None:
        """Show an event: as a line of JSON, or a message on standard output and all else on standard error."""
        if self._json:
            self._out.line(encode(event, time=time.time()))
        elif isinstance(event, Message):
            self._out.line(_message_line(event, self._link.room if self._link else ""))
        else:
            fragments = describe(event, me=self._link.name if self._link else "")
            if fragments is not None:
                self._err.line(plain(fragments))

    async def run(self) -> int:
        """Take lines until the input ends and all that was said has arrived; return the exit code."""
        link = self._link
        assert link is not None  # noqa: S101 - attached before
        work = asyncio.create_task(self._work(link))
        unread = asyncio.create_task(self._unread.wait())
        try:
            await asyncio.wait({work, unread}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, unread):
                task.cancel()
        return self._verdict(link)

    def close(self) -> None:
        """Bring out all that was shown."""
        self._out.close()
        self._err.close()

    async def _work(self, link: Link) -> None:
        async for text in read_lines(STDIN):
            if not await self._take(text, link):
                break
            while link.unaccepted >= MAX_UNACCEPTED:
                await link.changed()
        if self._linger is None:
            await link.settled(None, readers=False)
            await link.settled(READERS_WAIT, readers=True)
        else:
            await link.settled(self._linger, readers=True)
        await asyncio.sleep(self._listen)

    async def _take(self, text: str, link: Link) -> bool:
        try:
            line = self._parse(text)
            return line is None or await do(line, link, self.show)
        except UsageError as error:
            self._wrong_lines += 1
            if self._json:
                self.show(Problem("CC-USAGE", str(error), "Mend the line; the others are sent.", ExitCode.USAGE))
            else:
                self._err.line(f"! {safe(str(error))}")
            return True

    def _parse(self, text: str) -> Line | None:
        if self._json:
            return parse_record(text)
        return Say(text) if text.strip() else None

    def _verdict(self, link: Link) -> int:
        if not link.outbox.all_accepted:
            return ExitCode.INCOMPLETE
        if link.outbox.refused:
            return ExitCode.REFUSED
        return ExitCode.USAGE if self._wrong_lines else ExitCode.OK

    def _on_broken(self) -> None:
        self._loop.call_soon_threadsafe(self._unread.set)


def _message_line(event: Message, room: str) -> str:
    where = " (to you)" if event.to else f" #{event.room}" if room and event.room != room else ""
    return f"{safe(event.sender)}{safe(where)}: {indented(event.text)}"
