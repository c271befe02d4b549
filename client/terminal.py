"""Chat in a terminal: an input line that stays whole, ticks above it, the path and its round trip below it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Final

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.application import get_app_or_none
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.patch_stdout import patch_stdout
from prompt_toolkit.styles import Style

from clawchat.net.user_events import Delivered, Said, UserEvent
from clawchat.values.catalog import ExitCode
from clawchat.values.errors import UsageError
from client.commands import COMMANDS, parse_line
from client.doing import do
from client.link import Link
from client.outbox import SETTLE_TIME, Text, Tick
from client.render import STYLES, Fragments, describe, own_text, safe, shortened

REFRESH_SECONDS: Final = 0.5
"""How often the toolbar and the ticks are drawn anew."""

MOST_PENDING: Final = 5
"""How many texts without their last tick stand above the input line; older ones are counted."""

_STYLE: Final = Style.from_dict(
    {name: style for name, style in STYLES.items() if name}
    | {"bottom-toolbar": "noreverse", "prompt": "bold", "silent": "ansiyellow bold"}
)


class Interrupted(Exception):  # noqa: N818 - a key, not an error
    """Say that Ctrl-C was pressed at the input line."""


class Terminal:
    """Print what happens above the input line.

    A text of ours waits between the two until all its readers have it, so that its tick can still change; then
    it joins what is printed, in the order in which it was said.
    """

    def __init__(self) -> None:
        self._link: Link | None = None
        self._held: list[tuple[Text, float]] = []
        self._unread: dict[str, Text] = {}

    def attach(self, link: Link) -> None:
        """Learn of the link before anything happens on it."""
        self._link = link

    def show(self, event: UserEvent) -> None:
        """Print an event, or change the ticks."""
        link = self._link
        if isinstance(event, Said) and link is not None and (text := link.outbox.find(event.id)):
            self._held.append((text, time.time()))
        if link is not None:
            self._release(link)
        fragments = describe(event, me=link.name if link else "", room=link.room if link else "")
        if fragments is None and isinstance(event, Delivered) and event.waiting == 0:
            fragments = self._late_tick(event.id)
        if fragments is not None:
            _print(fragments)
        _redraw()

    async def run(self) -> int:
        """Take lines until ``/quit``, Ctrl-D or Ctrl-C; return the exit code."""
        link = self._link
        assert link is not None  # noqa: S101 - attached before
        session: PromptSession[str] = PromptSession(
            message=lambda: self._prompt(link),
            bottom_toolbar=lambda: toolbar(link),
            completer=_Words(link),
            complete_while_typing=False,
            style=_STYLE,
            erase_when_done=True,
            interrupt_exception=Interrupted,
            placeholder=[("class:info", "say something, or /help")],
        )
        refresh = asyncio.create_task(self._refresh(link))
        try:
            with patch_stdout(raw=True):
                return await self._converse(session, link)
        finally:
            refresh.cancel()

    def close(self) -> None:
        """Print the texts that still wait for a tick."""
        link = self._link
        while link is not None and self._held:
            self._print_oldest(link)

    async def _converse(self, session: PromptSession[str], link: Link) -> int:
        while True:
            try:
                line = parse_line(await session.prompt_async())
                if line is not None and not await do(line, link, self.show):
                    return ExitCode.OK
            except UsageError as error:
                _print([("warn", f"! {safe(str(error))}")])
            except EOFError:
                return ExitCode.OK
            except Interrupted:
                return ExitCode.INTERRUPTED

    async def _refresh(self, link: Link) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            self._release(link)
            _redraw()

    def _release(self, link: Link) -> None:
        """Print the texts at the front that are done, or that wait for a slow reader only."""
        now = time.monotonic()
        while self._held:
            text, _ = self._held[0]
            if text.open and (text.tick is Tick.SENT or now - text.at < SETTLE_TIME):
                return
            self._print_oldest(link)

    def _print_oldest(self, link: Link) -> None:
        text, at = self._held.pop(0)
        if text.open:
            self._unread[text.said.id] = text
        _print(own_text(text, me=link.name, room=link.room, at=at))

    def _late_tick(self, about: str) -> Fragments | None:
        text = self._unread.pop(about, None)
        if text is None:
            return None
        return [("good", f"{Tick.DELIVERED.value} "), ("info", f"everybody has: {shortened(text.said.text)}")]

    def _prompt(self, link: Link) -> StyleAndTextTuples:
        """Draw the texts that wait for their ticks, and the input line's beginning."""
        lines: StyleAndTextTuples = []
        hidden = len(self._held) - MOST_PENDING
        if hidden > 0:
            lines.append(("class:info", f"… {hidden} more on their way\n"))
        for text, at in self._held[-MOST_PENDING:]:
            lines += _styled(own_text(text, me=link.name, room=link.room, at=at))
            lines.append(("", "\n"))
        return [*lines, ("class:prompt", f"#{safe(link.room)}> ")]


class _Words(Completer):
    """Complete commands, and the names of people and rooms."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def get_completions(self, document: Document, _event: CompleteEvent) -> Iterator[Completion]:
        """Go through what the word before the cursor may become."""
        word = document.get_word_before_cursor(WORD=True)
        first = word == document.text_before_cursor
        if first and word.startswith("/"):
            found = [(f"/{command}", does) for command, (_, does) in COMMANDS.items()]
        else:
            names = [*self._link.roster.members(self._link.room), *self._link.rooms]
            found = [(name, "") for name in names]
        for text, meaning in found:
            if text.startswith(word):
                yield Completion(text, start_position=-len(word), display_meta=meaning)


def toolbar(link: Link) -> FormattedText:
    """Show the server, the path and its round trip, the room and the ticks; or the silence."""
    box = link.outbox
    people = len(link.roster.members(link.room))
    if link.pulse.silent:
        health = ("class:silent", f"no answer for {link.pulse.waiting:.0f} s, still trying")
    else:
        health = ("", f"{link.rtt * 1000:.1f} ms")
    room = f"#{safe(link.room)}" + (f" ({people})" if people else "")
    ticks = f"{Tick.DELIVERED.value} {box.delivered}/{box.sent}"
    path = link.path + (f" (not direct: {why})" if (why := link.not_direct) else "")
    parts = [("bold", safe(link.server)), ("", path), health, ("", room), ("", ticks)]
    shown: StyleAndTextTuples = [("", " ")]
    for index, part in enumerate(parts):
        if index:
            shown.append(("", " · "))
        shown.append(part)
    return FormattedText(shown)


def _print(fragments: Fragments) -> None:
    print_formatted_text(FormattedText(_styled(fragments)), style=_STYLE)


def _styled(fragments: Fragments) -> StyleAndTextTuples:
    return [(f"class:{style}" if style else "", text) for style, text in fragments]


def _redraw() -> None:
    app = get_app_or_none()
    if app is not None:
        app.invalidate()
