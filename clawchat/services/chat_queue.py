"""What waits for one member of the chat, and what it was sent but has not confirmed."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Final

from clawchat.services.chat import Message, Missed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clawchat.services.chat import ToClient

MAX_QUEUED: Final = 1024
MAX_QUEUED_BYTES: Final = 1 << 20
# Everything but a text is small; this stands for its bytes.
SMALL_MESSAGE: Final = 128
# A client that never confirms must not make the server remember everything.
MAX_UNCONFIRMED_OF_MEMBER: Final = 256


class MemberQueue:
    """Hold messages in order; what does not fit is counted and told once there is room again."""

    __slots__ = ("_bytes", "_missed", "_waiting", "sent")

    def __init__(self) -> None:
        self._waiting: deque[ToClient] = deque()
        self._bytes = 0
        self._missed = 0
        self.sent: OrderedDict[int, Message] = OrderedDict()
        """Messages taken but not confirmed, by number."""

    def __len__(self) -> int:
        return len(self._waiting) + bool(self._missed)

    @property
    def busy(self) -> bool:
        """Tell whether the queue is half full, which is when its own member must read before it may speak."""
        return len(self._waiting) * 2 >= MAX_QUEUED or self._bytes * 2 >= MAX_QUEUED_BYTES

    def put(self, message: ToClient) -> bool:
        """Add a message; return False when it had to be left out."""
        size = _size(message)
        if len(self._waiting) >= MAX_QUEUED or self._bytes + size > MAX_QUEUED_BYTES:
            self._missed += 1
            return False
        self._tell_missed()
        self._waiting.append(message)
        self._bytes += size
        return True

    def take(self, limit: int) -> list[ToClient]:
        """Take at most ``limit`` messages."""
        taken: list[ToClient] = []
        while self._waiting and len(taken) < limit:
            message = self._waiting.popleft()
            self._bytes -= _size(message)
            taken.append(message)
            if isinstance(message, Message) and not message.past:
                self.sent[message.number] = message
                if len(self.sent) > MAX_UNCONFIRMED_OF_MEMBER:
                    self.sent.popitem(last=False)
        if not self._waiting:
            self._tell_missed()
        return taken

    def confirm(self, number: int) -> None:
        """Forget a message that the member has."""
        self.sent.pop(number, None)

    def undelivered(self) -> Iterator[Message]:
        """Go through the messages that the member may not have, oldest first."""
        yield from self.sent.values()
        yield from (message for message in self._waiting if isinstance(message, Message))

    def keep_messages(self, most: int) -> None:
        """Keep nothing but the latest undelivered messages of others, for a member that may come back."""
        kept = tuple(self.undelivered())[-most:]
        self.sent.clear()
        self._waiting = deque(kept)
        self._bytes = sum(map(_size, kept))

    def _tell_missed(self) -> None:
        if self._missed:
            self._waiting.append(Missed(self._missed))
            self._bytes += SMALL_MESSAGE
            self._missed = 0


def _size(message: ToClient) -> int:
    return SMALL_MESSAGE + (len(message.text) if isinstance(message, Message) else 0)
