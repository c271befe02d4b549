"""What a chat's hub must not forget when its program is killed: who has not got what, and what was said already.

Only members with a token count, since nobody else can come back. Each change is a record that is handed to
``record`` at once; the records of an earlier life, in their order, bring the ledger back.

    {"said": token, "id": id, "number": number}                     never take this text twice
    {"message": message, "from": token, "id": id, "to": [token]}    these have not confirmed it
    {"received": number, "by": token}                               one of them has
    {"in": token, "room": room}                                     it is in a room
    {"out": token, "rooms": [room]}                                 it left rooms
    {"anew": token}                                                 its ids begin anew
    {"gone": token}                                                 nobody waits for this one any more
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from clawchat.services.chat import Message
from clawchat.services.chat_codec import read_to_client, to_json
from clawchat.services.chat_memory import Record

MAX_REMEMBERED_IDS: Final = 256
"""A client that comes back says again what was not accepted; this many of its latest ids are remembered."""

MAX_TOKENS: Final = 256
MAX_LEDGER_BYTES: Final = 4 << 20
MESSAGE_BYTES: Final = 256
"""What a message costs beyond its text."""


@dataclass(slots=True)
class Undelivered:
    """A message, who said it under which id, and who has not confirmed it; members are told by their tokens."""

    message: Message
    sender: str
    id: str
    waiting: set[str]


class Ledger:
    """Hold what outlives the hub. Raises ValueError or ProtocolViolation for records that no ledger wrote."""

    def __init__(self, records: Iterable[Record] = (), record: Callable[[Record], None] | None = None) -> None:
        self.undelivered: OrderedDict[int, Undelivered] = OrderedDict()
        """By number, the oldest first."""
        self.said: OrderedDict[str, OrderedDict[str, int]] = OrderedDict()
        """The number each text of a token got, by its id."""
        self.rooms: OrderedDict[str, set[str]] = OrderedDict()
        """In which rooms a token is, or was when it was lost."""
        self._bytes = 0
        self._record = record
        for each in records:
            self._read(each)

    @property
    def tokens(self) -> list[str]:
        """List everybody something is known of, each once."""
        waiting = [token for one in self.undelivered.values() for token in one.waiting]
        return list(dict.fromkeys([*self.said, *waiting, *self.rooms]))

    @property
    def top(self) -> int:
        """The highest number that is known to be used."""
        return max((*self.undelivered, *(n for ids in self.said.values() for n in ids.values())), default=0)

    def say(self, message: Message, sender: str | None, about: str, waiting: Iterable[str]) -> None:
        """Note a message that was taken from a member, and who is to confirm it."""
        if sender:
            self._said(sender, about, message.number)
            self._note({"said": sender, "id": about, "number": message.number})
        tokens = set(waiting)
        if tokens:
            self._wait(Undelivered(message, sender or "", about, tokens))
            self._note({"message": to_json(message), "from": sender or "", "id": about, "to": sorted(tokens)})

    def receive(self, number: int, token: str | None) -> None:
        """Note that a member has a message."""
        if token and self._received(number, token):
            self._note({"received": number, "by": token})

    def enter(self, token: str | None, room: str) -> None:
        """Note that a member is in a room."""
        if token:
            self._in(token, room)
            self._note({"in": token, "room": room})

    def leave(self, token: str | None, rooms: Iterable[str]) -> None:
        """Note that a member left rooms of its own will."""
        left = list(rooms)
        if token and left:
            self._out(token, left)
            self._note({"out": token, "rooms": left})

    def begin_anew(self, token: str) -> None:
        """Forget what a member said: its program has no memory, and gives out the same ids again."""
        if self.said.pop(token, None):
            self._note({"anew": token})

    def forget(self, token: str) -> None:
        """Wait no longer for a member."""
        self._gone(token)
        self._note({"gone": token})

    def records(self) -> Iterator[Record]:
        """Go through the fewest records that bring back what is here now."""
        for token, rooms in self.rooms.items():
            for room in sorted(rooms):
                yield {"in": token, "room": room}
        for token, ids in self.said.items():
            for about, number in ids.items():
                yield {"said": token, "id": about, "number": number}
        for one in self.undelivered.values():
            yield {"message": to_json(one.message), "from": one.sender, "id": one.id, "to": sorted(one.waiting)}

    def _note(self, record: Record) -> None:
        if self._record is not None:
            self._record(record)

    def _read(self, record: Record) -> None:
        match record:
            case {"said": str() as token, "id": str() as about, "number": int() as number}:
                self._said(token, about, number)
            case {
                "message": dict() as message,
                "from": str() as sender,
                "id": str() as about,
                "to": list() as tokens,
            } if isinstance(told := read_to_client(message), Message):
                self._wait(Undelivered(told, sender, about, {str(token) for token in tokens}))
            case {"received": int() as number, "by": str() as token}:
                self._received(number, token)
            case {"in": str() as token, "room": str() as room}:
                self._in(token, room)
            case {"out": str() as token, "rooms": list() as rooms}:
                self._out(token, rooms)
            case {"anew": str() as token}:
                self.said.pop(token, None)
            case {"gone": str() as token}:
                self._gone(token)
            case _:
                raise ValueError("not a record of a hub")

    def _in(self, token: str, room: str) -> None:
        self.rooms.setdefault(token, set()).add(room)
        self.rooms.move_to_end(token)
        if len(self.rooms) > MAX_TOKENS:
            self.rooms.popitem(last=False)

    def _out(self, token: str, rooms: Iterable[str]) -> None:
        left = self.rooms.get(token, set()).difference(rooms)
        if left:
            self.rooms[token] = left
        else:
            self.rooms.pop(token, None)

    def _said(self, token: str, about: str, number: int) -> None:
        ids = self.said.setdefault(token, OrderedDict())
        ids[about] = number
        self.said.move_to_end(token)
        if len(ids) > MAX_REMEMBERED_IDS:
            ids.popitem(last=False)
        if len(self.said) > MAX_TOKENS:
            self.said.popitem(last=False)

    def _wait(self, one: Undelivered) -> None:
        self.undelivered[one.message.number] = one
        self._bytes += _size(one)
        while self._bytes > MAX_LEDGER_BYTES:
            self._bytes -= _size(self.undelivered.popitem(last=False)[1])

    def _received(self, number: int, token: str) -> bool:
        one = self.undelivered.get(number)
        if one is None or token not in one.waiting:
            return False
        one.waiting.discard(token)
        if not one.waiting:
            self._bytes -= _size(self.undelivered.pop(number))
        return True

    def _gone(self, token: str) -> None:
        self.said.pop(token, None)
        self.rooms.pop(token, None)
        for number in list(self.undelivered):
            self._received(number, token)


def _size(one: Undelivered) -> int:
    return MESSAGE_BYTES + len(one.message.text.encode())
