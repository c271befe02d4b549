"""A program that answers in the chat: one long-running process, JSON lines in and out.

It gets one line for each message said in the permanent rooms or to it alone:

    {"schema": 1, "type": "message", "number": 12, "room": "lobby", "sender": "ann", "text": "hi",
     "at": 1700000000, "private": false}

and may write, one line each, flushed:

    {"text": "hello ann"}                     answers the oldest message it has not answered yet
    {"reply_to": 12, "text": "hello ann"}     answers that message
    {}                                        has nothing to say to the oldest message
    {"room": "lobby", "text": "…"}            speaks in a room unasked
    {"to": "ann", "text": "…"}                speaks to one person unasked

An answer goes to the room of its message, or to its sender alone when it was private. Lines on its standard
error go to the log. A process that ends is started again, later each time; messages wait in a bounded queue,
and those it had not answered are handed to the next process, once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from clawchat.net.control import format_line, parse_line
from clawchat.services.chat import Join, Message, Received, Say
from clawchat.services.chat_fields import clean_text, is_name
from server.chat_service import ChatService
from server.logs import Log

SCHEMA: Final = 1
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
# A process that lived this long was working: the next failure begins with the shortest pause again.
GOOD_LIFE: Final = 60.0
MAX_UNANSWERED: Final = 256
MAX_LINE_BYTES: Final = 64 * 1024
# Together they stay below the second in which the whole program ends.
CLOSE_GRACE: Final = 0.4
TERMINATE_GRACE: Final = 0.3


class Handler:
    """Keep the handler running and carry its lines to and from the chat."""

    def __init__(self, command: Sequence[str], name: str, rooms: Sequence[str], chat: ChatService, log: Log) -> None:
        self._command = tuple(command)
        self._name = name
        self._rooms = tuple(rooms)
        self._chat = chat
        self._log = log
        self._member = 0
        self._ready = asyncio.Event()
        self._unanswered: OrderedDict[int, Message] = OrderedDict()
        self._repeated: set[int] = set()
        self._said = 0
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def running(self) -> bool:
        """Tell whether the process is there."""
        return self._process is not None and self._process.returncode is None

    async def run(self) -> None:
        """Keep the process running until cancelled, then end it."""
        self._member = self._chat.attach(self._name, self._ready.set)
        for room in self._rooms[1:]:
            self._chat.say(self._member, Join(room))
        pause = FIRST_PAUSE
        try:
            while True:
                started = time.monotonic()
                cause = await self._live()
                if time.monotonic() - started >= GOOD_LIFE:
                    pause = FIRST_PAUSE
                self._log.error("handler-ended", code="CC-HANDLER", cause=cause, again_in=pause)
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
        finally:
            self._chat.detach(self._member)

    async def _live(self) -> str:
        """Run one process to its end; return why it ended."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                limit=MAX_LINE_BYTES,
                start_new_session=True,
            )
        except (OSError, ValueError, NotImplementedError) as error:  # the last: the selector loop of Windows
            return f"{self._command[0]} can't be started: {error}"
        self._process = process
        self.starts += 1
        self._log.info("handler-started", command=self._command[0], pid=process.pid)
        assert process.stdin is not None  # noqa: S101 - asked for above
        assert process.stdout is not None  # noqa: S101 - likewise
        assert process.stderr is not None  # noqa: S101 - likewise
        tasks = [
            asyncio.create_task(self._feed(process.stdin, self._left_over())),
            asyncio.create_task(self._listen(process.stdout)),
            asyncio.create_task(self._pass_on(process.stderr)),
        ]
        try:
            await process.wait()
            # what it wrote last is still in the pipes
            await asyncio.wait(tasks[1:], timeout=CLOSE_GRACE)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end(process)
        return f"it ended with exit code {process.returncode}"

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        """Close the process's input, then ask it to end, then kill it and what it started."""
        if process.stdin is not None:
            process.stdin.close()
        for number, grace in ((None, CLOSE_GRACE), (signal.SIGTERM, TERMINATE_GRACE), (signal.SIGKILL, None)):
            if process.returncode is not None:
                break
            if number is not None:
                _send_signal(process, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), grace)

    def _left_over(self) -> list[Message]:
        """Take what the last process did not answer, except what was tried twice: it may be why that one ended."""
        left = [message for number, message in self._unanswered.items() if number not in self._repeated]
        self._repeated = {message.number for message in left}
        self._unanswered.clear()
        return left

    async def _feed(self, stdin: asyncio.StreamWriter, first: Sequence[Message]) -> None:
        """Write each message as a line; its receipt says that the process has it."""
        try:
            for message in first:
                await self._write(stdin, message)
            while True:
                while told := self._chat.take(self._member, 1):
                    if isinstance(told[0], Message) and not told[0].past:
                        await self._write(stdin, told[0])
                self._ready.clear()
                await self._ready.wait()
        except OSError:
            return  # it has ended, which `_live` sees

    async def _write(self, stdin: asyncio.StreamWriter, message: Message) -> None:
        self._unanswered[message.number] = message
        if len(self._unanswered) > MAX_UNANSWERED:
            self._unanswered.popitem(last=False)
        stdin.write(format_line(_describe(message)))
        await stdin.drain()
        self._chat.say(self._member, Received((message.number,)))

    async def _listen(self, stdout: asyncio.StreamReader) -> None:
        async for line in _lines(stdout):
            value = parse_line(line)
            problem = "not a JSON object" if value is None else self._answer(value)
            if problem:
                self._log.warning("handler-line-refused", code="CC-HANDLER", cause=problem)

    async def _pass_on(self, stderr: asyncio.StreamReader) -> None:
        async for line in _lines(stderr):
            self._log.info("handler-stderr", line=line.decode(errors="replace").rstrip())

    def _answer(self, value: dict[str, Any]) -> str:
        """Say what the process said; return a complaint, or nothing."""
        if value.keys() - {"text", "reply_to", "room", "to", "schema", "type"}:
            return f"unknown keys {sorted(value.keys() - {'text', 'reply_to', 'room', 'to'})}"
        text, room, to = (value.get(key) for key in ("text", "room", "to"))
        if any(name is not None and not (isinstance(name, str) and is_name(name)) for name in (room, to)):
            return "room and to are names"
        if room is None and to is None:
            number = value.get("reply_to", next(iter(self._unanswered), None))
            asked = self._unanswered.pop(number, None) if isinstance(number, int) else None
            if asked is None:
                return "there is no such message to answer"
            room, to = (None, asked.sender) if asked.to is not None else (asked.room, None)
        if text is None or text == "":
            return ""
        if not isinstance(text, str):
            return "text is not a text"
        self._said += 1
        self._chat.say(self._member, Say(f"h{self._said}", clean_text(text), room=room, to=to))
        return ""


def _describe(message: Message) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "type": "message",
        "number": message.number,
        "room": message.room,
        "sender": message.sender,
        "text": message.text,
        "at": message.at,
        "private": message.to is not None,
    }


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Go through the lines of a stream; one that is too long is skipped, in pieces."""
    skipping = False
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            await stream.readexactly(error.consumed)
            skipping = True
            continue
        except asyncio.IncompleteReadError as error:
            if error.partial and not skipping:
                yield error.partial
            return
        if not skipping:
            yield line
        skipping = False


def _send_signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, number)
