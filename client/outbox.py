"""What we said and how far it came: the delivery ticks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Final

from clawchat.net.user_events import Accepted, Delivered, Refused, Said, UserEvent

SETTLE_TIME: Final = 3.0
"""A text that the server has, but not yet all its readers, leaves the line above the prompt after this."""


class Tick(Enum):
    """How far a text came."""

    SENT = "…"
    ACCEPTED = "✓"
    DELIVERED = "✓✓"
    REFUSED = "✗"


@dataclass(slots=True)
class Text:
    """One text of ours; ``waiting`` readers have not confirmed it."""

    said: Said
    at: float  # when it was said, in monotonic seconds
    tick: Tick = Tick.SENT
    waiting: int = 0
    open: bool = True  # a receipt is still to come


class Outbox:
    """Follow the receipts of our texts, and count them."""

    def __init__(self) -> None:
        self.sent = 0
        self.accepted = 0
        self.delivered = 0
        self.refused = 0
        self._open: OrderedDict[str, Text] = OrderedDict()

    def follow(self, event: UserEvent, *, now: float) -> Text | None:
        """Take an event; return the text it is about, with its new tick."""
        match event:
            case Said():
                self.sent += 1
                text = self._open[event.id] = Text(event, now)
            case Accepted() if (found := self._open.get(event.id)) is not None:
                text = found
                self.accepted += 1
                text.tick, text.waiting = Tick.ACCEPTED, event.waiting
                if event.waiting == 0:
                    self._close(text, Tick.ACCEPTED)
            case Delivered() if (found := self._open.get(event.id)) is not None:
                text = found
                text.waiting = event.waiting
                if event.waiting == 0:
                    self._close(text, Tick.DELIVERED)
            case Refused() if (found := self._open.get(event.about)) is not None:
                text = found
                self.refused += 1
                self._close(text, Tick.REFUSED)
            case _:
                return None
        return text

    def waiting_after(self, about: str) -> int:
        """Count the readers that remain when one more confirms a text."""
        text = self._open.get(about)
        return max(text.waiting - 1, 0) if text else 0

    def find(self, about: str) -> Text | None:
        """Return a text that waits for a receipt."""
        return self._open.get(about)

    @property
    def settled(self) -> bool:
        """Tell whether all that we said has reached every reader, or was refused."""
        return not self._open

    @property
    def all_accepted(self) -> bool:
        """Tell whether the server has all that it did not refuse."""
        return self.sent == self.accepted + self.refused

    def _close(self, text: Text, tick: Tick) -> None:
        text.tick, text.open = tick, False
        if tick is not Tick.REFUSED:
            self.delivered += 1
        del self._open[text.said.id]
