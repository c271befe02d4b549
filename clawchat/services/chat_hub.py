"""The server's end of the chat: members, rooms, and who still has to confirm which message.

A member is whoever ``attach`` made: a client's stream, the operator's terminal, a handler program. All say
the same messages. What a member is to be told waits in its queue, which is bounded by count and bytes; a
member that does not read loses messages of others, is told how many (Missed), and is not listened to until it
reads again (``accepting``).
"""

from __future__ import annotations

from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Final, assert_never

from clawchat.services.chat import (
    DEFAULT_ROOM,
    REFUSAL_FULL,
    REFUSAL_NAME_TAKEN,
    REFUSAL_NO_ROOM,
    REFUSAL_NOBODY,
    REFUSAL_NOT_IN_ROOM,
    Accepted,
    Delivered,
    Hello,
    Join,
    Joined,
    Leave,
    Left,
    List,
    Members,
    Message,
    Received,
    Refused,
    Rename,
    Renamed,
    Rooms,
    Say,
    ToClient,
    ToServer,
    Welcome,
    Who,
)
from clawchat.services.chat_fields import MAX_MEMBERS, MAX_NAME_BYTES, MAX_ROOMS
from clawchat.services.chat_ledger import MAX_REMEMBERED_IDS, Ledger
from clawchat.services.chat_member import Away, Member
from clawchat.services.chat_receipts import Receipts
from clawchat.services.preface import StreamCode
from clawchat.values.errors import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ROOMS_A_MEMBER: Final = 32
LEFT: Final = "left"
LOST: Final = "lost"
"""Why a member is gone whose client did not say goodbye."""


class _Room:
    """A room, its members in the order they came, and what was last said in it."""

    __slots__ = ("history", "members")

    def __init__(self, history: int) -> None:
        self.members: dict[int, Member] = {}
        self.history: deque[Message] = deque(maxlen=history)


class Hub:
    """Hold the chat of one server. ``rooms`` are there always; others live while somebody is in them.

    Messages are numbered from ``first_number``; a server gives a higher one each time it starts, because clients
    take a number they have seen for a repeat. With the ledger of an earlier life its members miss nothing.
    """

    def __init__(
        self,
        *,
        server: str,
        rooms: Iterable[str] = (DEFAULT_ROOM,),
        history: int = 0,
        first_number: int = 1,
        ledger: Ledger | None = None,
    ) -> None:
        self._server = server
        self._history = history
        self._permanent = tuple(rooms) or (DEFAULT_ROOM,)
        self._rooms = {name: _Room(history) for name in self._permanent}
        self._members: dict[int, Member] = {}
        self._named: dict[str, Member] = {}
        self._receipts = Receipts()
        self._with_token: dict[str, Member] = {}
        self._keys = count(1)
        self._ledger = ledger or Ledger()
        self._numbers = max(first_number - 1, self._ledger.top)
        self.ready: set[int] = set()
        """Members with something to take."""
        self.displaced: list[int] = []
        """Members whose client came back on another stream; the owner drains this and ends their streams."""
        self._away = Away(self._ledger, self._receipts, self._keys)

    def attach(self) -> int:
        """Add a member and return its key; it has no name before its Hello."""
        key = next(self._keys)
        self._members[key] = Member(key)
        return key

    def detach(self, key: int, why: str = "") -> None:
        """Take a member out of all rooms; ``why`` is told to the others. One that is LOST misses nothing meanwhile."""
        member = self._members.pop(key, None)
        if member is None:
            return
        self.ready.discard(key)
        rooms = tuple(member.rooms)
        for room in rooms:
            self._leave(member, room, why)
        self._named.pop(member.name.casefold(), None)
        if member.token is not None:
            del self._with_token[member.token]
            if why != LOST:
                self._ledger.leave(member.token, rooms)
        self._away.put(member, set(rooms) if why == LOST else set())

    def name_of(self, key: int) -> str:
        """Return a member's name, empty before its Hello."""
        member = self._members.get(key)
        return member.name if member else ""

    def accepting(self, key: int) -> bool:
        """Tell whether to hand in more of this member's messages: not while it leaves its own queue full."""
        member = self._members.get(key)
        return member is not None and not member.queue.busy

    def take(self, key: int, limit: int) -> list[ToClient]:
        """Take at most ``limit`` messages from a member's queue."""
        member = self._members.get(key)
        if member is None:
            return []
        taken = member.queue.take(limit)
        if not member.queue:
            self.ready.discard(key)
        return taken

    def rooms(self) -> dict[str, tuple[str, ...]]:
        """List the rooms and the names in them."""
        return {name: tuple(m.name for m in room.members.values()) for name, room in self._rooms.items()}

    def receive(self, key: int, message: ToServer, *, unix_now: int) -> None:  # noqa: C901 - one case a message
        """Handle a member's message; ``unix_now`` (Unix seconds) is what Message.at says.

        Raises ProtocolViolation when the member speaks before its Hello, or says Hello twice.
        """
        member = self._members.get(key)
        if member is None:
            return
        if isinstance(message, Hello) == bool(member.name):
            raise ProtocolViolation(StreamCode.MALFORMED, "hello comes first, and once")
        match message:
            case Hello():
                self._enter(member, message)
            case Join():
                self._join(member, message.room)
            case Leave():
                if message.room in member.rooms:
                    self._leave(member, message.room, LEFT)
                    self._ledger.leave(member.token, [message.room])
                    self._tell(member, Left(message.room, member.name, LEFT))
                else:
                    self._tell(member, Refused("leave", REFUSAL_NOT_IN_ROOM))
            case Who():
                room = self._rooms.get(message.room)
                names = tuple(other.name for other in room.members.values()) if room else ()
                self._tell(member, Members(message.room, names) if room else Refused("who", REFUSAL_NO_ROOM))
            case List():
                counts = tuple(len(room.members) for room in self._rooms.values())
                self._tell(member, Rooms(tuple(self._rooms), counts))
            case Rename():
                self._rename(member, message.name)
            case Say():
                self._say(member, message, unix_now)
            case Received():
                for number in message.numbers:
                    self._confirm(member, number)
            case _:
                assert_never(message)

    # ------------------------------------------------------------------------------------ coming and going

    def _enter(self, member: Member, hello: Hello) -> None:
        old = None
        if hello.token is not None:
            still_here = self._with_token.get(hello.token)
            if still_here is not None:
                self.detach(still_here.key, "came back")
                self.displaced.append(still_here.key)
            old = self._away.take(hello.token)
            if not hello.again:
                self._ledger.begin_anew(hello.token)
            member.token = hello.token
            self._with_token[hello.token] = member
        member.name = self._free_name(hello.name)
        self._named[member.name.casefold()] = member
        self._tell(member, Welcome(member.name, self._server, tuple(self._rooms)))
        self._join(member, self._permanent[0])
        if old is not None:
            self._inherit(member, old, receipts=hello.again)

    def _inherit(self, member: Member, old: Member, *, receipts: bool) -> None:
        """Give a client that came back what its old stream did not deliver, and its receipts if it waits for them."""
        if receipts:
            member.said = old.said
        self._receipts.hand_on(old.key, member.key, sender=receipts)
        for room in sorted(old.rooms):
            self._join(member, room)
        for message in old.queue.undelivered():
            self._tell(member, message)

    def _free_name(self, wish: str) -> str:
        name, count = wish, 1
        while name.casefold() in self._named:
            count += 1
            suffix = f"-{count}"
            name = wish.encode()[: MAX_NAME_BYTES - len(suffix)].decode(errors="ignore") + suffix
        return name

    def _rename(self, member: Member, name: str) -> None:
        if self._named.get(name.casefold(), member) is not member:
            self._tell(member, Refused("rename", REFUSAL_NAME_TAKEN))
            return
        old = member.name
        del self._named[old.casefold()]
        member.name = name
        self._named[name.casefold()] = member
        audience = {other.key: other for room in member.rooms for other in self._rooms[room].members.values()}
        for other in (audience | {member.key: member}).values():
            self._tell(other, Renamed(old, name))

    def _join(self, member: Member, name: str) -> None:
        room = self._rooms.get(name)
        if name in member.rooms:
            return
        full = len(self._rooms) >= MAX_ROOMS if room is None else len(room.members) >= MAX_MEMBERS
        if full or len(member.rooms) >= MAX_ROOMS_A_MEMBER:
            self._tell(member, Refused("join", REFUSAL_FULL))
            return
        if room is None:
            room = self._rooms[name] = _Room(self._history)
        for other in room.members.values():
            self._tell(other, Joined(name, member.name))
        room.members[member.key] = member
        member.rooms.add(name)
        self._ledger.enter(member.token, name)
        self._tell(member, Joined(name, member.name, tuple(other.name for other in room.members.values())))
        for message in room.history:
            self._tell(member, message)

    def _leave(self, member: Member, name: str, why: str) -> None:
        member.rooms.discard(name)
        room = self._rooms[name]
        room.members.pop(member.key, None)
        for other in room.members.values():
            self._tell(other, Left(name, member.name, why))
        if not room.members and name not in self._permanent:
            del self._rooms[name]

    # ------------------------------------------------------------------------------------ saying and confirming

    def _say(self, member: Member, say: Say, unix_now: int) -> None:
        known = member.said.get(say.id)
        if known is not None:
            self._tell(member, Accepted(say.id, known))
            return
        if say.to is not None:
            target = self._named.get(say.to.casefold())
            room, audience, refusal = None, [target] if target else [], REFUSAL_NOBODY if target is None else ""
        else:
            room = say.room or self._permanent[0]
            inside = room in member.rooms
            audience = [m for m in self._rooms[room].members.values() if m is not member] if inside else []
            refusal = "" if inside else REFUSAL_NOT_IN_ROOM
        if refusal:
            self._tell(member, Refused(say.id, refusal))
            return
        self._numbers += 1
        number = self._numbers
        member.said[say.id] = number
        if len(member.said) > MAX_REMEMBERED_IDS:
            member.said.popitem(last=False)
        to = audience[0].name if room is None else None
        message = Message(number, member.name, say.text, unix_now, room, to)
        waiting = {other.key: other.token for other in audience if self._tell(other, message)}
        absent = self._away.tell(message) if room is not None else []
        self._ledger.say(message, member.token, say.id, [*filter(None, waiting.values()), *absent])
        self._tell(member, Accepted(say.id, number, len(waiting)))
        self._receipts.expect(number, member.key, say.id, set(waiting))
        if room is not None:
            self._rooms[room].history.append(Message(number, member.name, say.text, unix_now, room, past=True))

    def _confirm(self, member: Member, number: int) -> None:
        member.queue.confirm(number)
        self._ledger.receive(number, member.token)
        found = self._receipts.confirm(number, member.key)
        sender = self._members.get(found[0]) if found else None
        if found and sender is not None:
            self._tell(sender, Delivered(found[1], number, member.name))

    def _tell(self, member: Member, message: ToClient) -> bool:
        """Queue a message for a member still here; tell whether it fitted."""
        if member.key not in self._members:
            return False
        fitted = member.queue.put(message)
        self.ready.add(member.key)
        return fitted
