"""The public host by which two ends of a rival find one another; it says where datagrams come from. Pure."""

from __future__ import annotations

from typing import NamedTuple

from clawchat.values.address import Address
from lab.strategies.messages import Kind, Message, decode, encode

ENDS = 2


class Reply(NamedTuple):
    """A datagram to send from the address at which the question came."""

    to: Address
    data: bytes


class _Guest(NamedTuple):
    source: Address
    joined: Message


class Rendezvous:
    """Answer datagrams; two ends that join one room are told of each other at the same moment."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[str, _Guest]] = {}

    def receive(self, data: bytes, source: Address) -> list[Reply]:
        """Return what a datagram is answered."""
        message = decode(data)
        if message is None:
            return []
        match message.kind:
            case Kind.SEE:
                return [Reply(source, encode(Message(Kind.SEEN, token=message.token, addresses=(source,))))]
            case Kind.JOIN:
                return self._join(message, source)
            case _:
                return []

    def _join(self, message: Message, source: Address) -> list[Reply]:
        room = self._rooms.setdefault(message.room, {})
        complete = len(room) == ENDS
        room[message.role] = _Guest(source, message)
        if len(room) < ENDS:
            return []
        # Both are told at once; who asks again has not heard it.
        told = [message.role] if complete else list(room)
        return [self._go(room, role) for role in told]

    def _go(self, room: dict[str, _Guest], role: str) -> Reply:
        other = next(guest for name, guest in room.items() if name != role)
        joined = other.joined
        said = Message(Kind.GO, room=joined.room, addresses=joined.addresses, changing=joined.changing)
        return Reply(room[role].source, encode(said))
