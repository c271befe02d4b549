"""What shows events and takes lines: a terminal, a pipe, or lines of JSON."""

from __future__ import annotations

from typing import Protocol

from clawchat.net.user_events import UserEvent
from client.link import Link


class Screen(Protocol):
    """One way of meeting the user."""

    def attach(self, link: Link) -> None:
        """Learn of the link before anything happens on it."""

    def show(self, event: UserEvent) -> None:
        """Show an event; never raises and never waits."""

    async def run(self) -> int:
        """Take lines until the user is done; return the exit code."""

    def close(self) -> None:
        """Bring out all that was shown."""


def make_screen(*, interactive: bool, as_json: bool, linger: float | None, listen: float) -> Screen:
    """Make the screen that fits the streams; needs a running loop."""
    if interactive:
        from client.terminal import Terminal

        return Terminal()
    from client.pipe import Pipe

    return Pipe(as_json=as_json, linger=linger, listen=listen)
