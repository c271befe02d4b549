"""The client's end of the chat: what to say to the server, and what it said to us.

The machine confirms every message it hands out, hands each out once, and can go on over a new stream after
the old one was lost: it enters its rooms again and says again what the server had not accepted. With the
memory of an earlier life it does so even if its program was killed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from clawchat.services.chat import (
    DEFAULT_ROOM,
    Accepted,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    List,
    Message,
    Received,
    Refused,
    Rename,
    Renamed,
    Welcome,
    Who,
)
from clawchat.services.chat_codec import ClientDecoder, encode
from clawchat.services.chat_fields import MAX_RECEIPTS, MAX_TEXT_BYTES, is_name, is_text
from clawchat.services.chat_memory import ClientMemory
from clawchat.services.preface import CHAT, write_preface
from clawchat.values.errors import UsageError

if TYPE_CHECKING:
    from clawchat.services.chat import ToClient, ToServer


class ChatClient:
    """Speak chat over one stream at a time.

    ``token`` (random letters and digits) names this client to the hub; ``memory`` is what it knows from before.
    """

    def __init__(self, name: str, *, token: str | None = None, memory: ClientMemory | None = None) -> None:
        _check_name(name)
        self.name = name
        self.server = ""
        self.rooms: set[str] = set()
        """Rooms we are in, by the server's word."""
        self._token = token
        self._wanted: list[str] = []
        self._decoder = ClientDecoder()
        self._out = bytearray()
        self._memory = memory or ClientMemory()
        self.welcomed = False
        self._again = not self._memory.fresh

    def start(self) -> None:
        """Begin on a stream that was just opened, the first time or again."""
        self._decoder = ClientDecoder()
        self._out = bytearray(write_preface(CHAT))
        again, self._again = self._again, True
        self.rooms.clear()
        self.welcomed = False
        self._send(Hello(self.name, token=self._token, again=again))
        for room in self._wanted:
            self._send(Join(room))
        for say in self._memory.unaccepted.values():
            self._send(say)

    def outgoing(self) -> bytes:
        """Take the bytes to write to the stream."""
        data = bytes(self._out)
        self._out.clear()
        return data

    def receive(self, data: bytes | memoryview) -> list[ToClient]:
        """Take bytes of the stream; return what the server said, each message of others once.

        Receipts go to ``outgoing``. Raises ProtocolViolation for bytes that are no chat.
        """
        fresh: list[ToClient] = []
        numbers: list[int] = []
        for told in self._decoder.feed(data):
            if isinstance(told, Message):
                if not told.past:
                    numbers.append(told.number)
                if not self._memory.first_time(told.number):
                    continue
            else:
                self._follow(told)
            fresh.append(told)
        for at in range(0, len(numbers), MAX_RECEIPTS):
            self._send(Received(tuple(numbers[at : at + MAX_RECEIPTS])))
        return fresh

    def say(self, text: str, *, room: str | None = None, to: str | None = None) -> str:
        """Say a text in a room (the first one when not told), or to one person; return the id its receipts carry.

        Raises UsageError for a text or name that can't be sent.
        """
        if not is_text(text):
            raise UsageError(f"a text has 1 to {MAX_TEXT_BYTES} bytes and no control characters")
        _check_name(room or to or DEFAULT_ROOM)
        say = self._memory.say(text, None if to else room, to)
        self._send(say)
        return say.id

    def join(self, room: str) -> None:
        """Enter a room."""
        _check_name(room)
        if room not in self._wanted:
            self._wanted.append(room)
        self._send(Join(room))

    def leave(self, room: str) -> None:
        """Leave a room."""
        _check_name(room)
        if room in self._wanted:
            self._wanted.remove(room)
        self._send(Leave(room))

    def rename(self, name: str) -> None:
        """Ask for another name."""
        _check_name(name)
        self._send(Rename(name))

    def who(self, room: str = DEFAULT_ROOM) -> None:
        """Ask who is in a room."""
        _check_name(room)
        self._send(Who(room))

    def list_rooms(self) -> None:
        """Ask which rooms there are."""
        self._send(List())

    @property
    def unaccepted(self) -> int:
        """Count the texts that the server has not accepted yet."""
        return len(self._memory.unaccepted)

    def _follow(self, told: ToClient) -> None:
        match told:
            case Welcome():
                self.name, self.server, self.welcomed = told.name, told.server, True
            case Joined(members=members) if members is not None:
                self.rooms.add(told.room)
            case Left() if told.name == self.name:
                self.rooms.discard(told.room)
            case Renamed() if told.old == self.name:
                self.name = told.new
            case Accepted():
                self._memory.settle(told.id)
            case Refused():
                self._memory.settle(told.about)
            case _:
                pass

    def _send(self, message: ToServer) -> None:
        self._out += encode(message)


def _check_name(name: str) -> None:
    if not is_name(name):
        raise UsageError(f"not a name: {name!r} (1 to 64 bytes, printable, no spaces)")
