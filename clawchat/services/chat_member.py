"""The participants of a chat as its hub sees them: who is here, and who is away but may come back."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from clawchat.services.chat import Message
from clawchat.services.chat_ledger import Ledger
from clawchat.services.chat_queue import MemberQueue
from clawchat.services.chat_receipts import Receipts

MAX_AWAY: Final = 128
"""Members that left, kept so that a client that comes back misses nothing and is not heard twice."""

MAX_KEPT_MESSAGES: Final = 64


class Member:
    """One participant; nameless until its Hello."""

    __slots__ = ("key", "name", "queue", "rooms", "said", "token")

    def __init__(self, key: int) -> None:
        self.key = key
        self.name = ""
        self.token: str | None = None
        self.rooms: set[str] = set()
        self.queue = MemberQueue()
        self.said: OrderedDict[str, int] = OrderedDict()


class Away:
    """Members with a token that are not here. One that was lost still hears its rooms, one that left does not."""

    def __init__(self, ledger: Ledger, receipts: Receipts, keys: Iterator[int]) -> None:
        self._ledger = ledger
        self._receipts = receipts
        self._members: OrderedDict[str, Member] = OrderedDict()
        self._recall(keys)

    def put(self, member: Member, rooms: set[str]) -> None:
        """Keep a member that is gone, and what it has not got; it goes on hearing ``rooms``."""
        if member.token is None:
            self._receipts.forget(member.key)
            return
        member.rooms = rooms
        member.queue.keep_messages(MAX_KEPT_MESSAGES)
        self._members[member.token] = member
        if len(self._members) > MAX_AWAY:
            token, forgotten = self._members.popitem(last=False)
            self._receipts.forget(forgotten.key)
            self._ledger.forget(token)

    def take(self, token: str) -> Member | None:
        """Return a member that came back, None when it is not known."""
        return self._members.pop(token, None)

    def tell(self, message: Message) -> list[str]:
        """Keep what is said in a room for those who were lost in it; return their tokens."""
        told = []
        for token, member in self._members.items():
            if message.room in member.rooms:
                member.queue.put(message)
                member.queue.keep_messages(MAX_KEPT_MESSAGES)
                told.append(token)
        return told

    def _recall(self, keys: Iterator[int]) -> None:
        """Remember the members of an earlier life, with what they said and what they have not got."""
        for token in self._ledger.tokens[-MAX_AWAY:]:
            member = self._members[token] = Member(next(keys))
            member.token = token
            member.rooms = set(self._ledger.rooms.get(token, ()))
            member.said = OrderedDict(self._ledger.said.get(token, ()))
        for number, one in self._ledger.undelivered.items():
            waiting = [self._members[token] for token in one.waiting if token in self._members]
            for member in waiting:
                member.queue.put(one.message)
            sender = self._members.get(one.sender)
            if sender is not None:
                self._receipts.expect(number, sender.key, one.id, {member.key for member in waiting})
        for member in self._members.values():
            member.queue.keep_messages(MAX_KEPT_MESSAGES)
