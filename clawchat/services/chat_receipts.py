"""Which messages are on their way: whose receipt is missing, and who is to be told when it comes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

# A receipt for an older message comes too late to be of use; the table must end somewhere.
MAX_UNCONFIRMED: Final = 8192


@dataclass(slots=True)
class _Unconfirmed:
    """A message on its way; members are told by their keys."""

    sender: int
    id: str
    waiting: set[int]


class Receipts:
    """Remember who has not confirmed which message, the latest MAX_UNCONFIRMED of them."""

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: OrderedDict[int, _Unconfirmed] = OrderedDict()

    def expect(self, number: int, sender: int, message_id: str, receivers: set[int]) -> None:
        """Wait for the receipts of a message."""
        if not receivers:
            return
        self._messages[number] = _Unconfirmed(sender, message_id, receivers)
        if len(self._messages) > MAX_UNCONFIRMED:
            self._messages.popitem(last=False)

    def confirm(self, number: int, receiver: int) -> tuple[int, str] | None:
        """Take a receipt; return the sender and its id for the message, None when it was not waited for."""
        message = self._messages.get(number)
        if message is None or receiver not in message.waiting:
            return None
        message.waiting.discard(receiver)
        if not message.waiting:
            del self._messages[number]
        return message.sender, message.id

    def hand_on(self, old: int, new: int, *, sender: bool) -> None:
        """Let a new member stand for an old one: as receiver, and if ``sender`` for what it said too."""
        for message in self._messages.values():
            if sender and message.sender == old:
                message.sender = new
            if old in message.waiting:
                message.waiting.discard(old)
                message.waiting.add(new)

    def forget(self, receiver: int) -> None:
        """Wait no longer for a member that will not come back."""
        for number, message in list(self._messages.items()):
            message.waiting.discard(receiver)
            if not message.waiting:
                del self._messages[number]
