"""The bytes of chat messages: tables made from the message classes, and a decoder for each direction."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeAlias, cast, get_args, get_type_hints

from clawchat.services.chat import (
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
    Missed,
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
from clawchat.services.framing import ObjectReader, write_object
from clawchat.services.preface import StreamCode
from clawchat.values.errors import ProtocolViolation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind: TypeAlias = type[ToServer] | type[ToClient]
TO_SERVER: Mapping[str, Kind] = {
    kind.__name__.lower(): kind for kind in (Hello, Join, Leave, Who, List, Rename, Say, Received)
}
TO_CLIENT: Mapping[str, Kind] = {
    kind.__name__.lower(): kind
    for kind in (Welcome, Joined, Left, Renamed, Members, Rooms, Accepted, Delivered, Message, Refused, Missed)
}


def _parsers_of(kind: Kind) -> dict[str, Callable[[object], object]]:
    """Find the parser that each field's annotation carries, also behind ``| None``."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: next(part for option in (hint, *get_args(hint)) for part in getattr(option, "__metadata__", ()))
        for name, hint in hints.items()
    }


_PARSERS = {kind: _parsers_of(kind) for kinds in (TO_SERVER, TO_CLIENT) for kind in kinds.values()}
_REQUIRED = {kind: {field.name for field in fields(kind) if field.default is MISSING} for kind in _PARSERS}


def to_json(message: ToServer | ToClient) -> dict[str, object]:
    """Turn a message into a JSON object."""
    value: dict[str, object] = {"type": type(message).__name__.lower()}
    for name in _PARSERS[type(message)]:
        field = getattr(message, name)
        if field is not None:
            value[name] = field
    return value


def encode(message: ToServer | ToClient) -> bytes:
    """Encode a message for the stream."""
    return write_object(to_json(message))


def _from_json(value: Mapping[str, object], kinds: Mapping[str, Kind]) -> ToServer | ToClient:
    kind = kinds.get(str(value.get("type")))
    if kind is None:
        raise ProtocolViolation(StreamCode.MALFORMED, "message type")
    parsers = _PARSERS[kind]
    names = value.keys() - {"type"}
    if not (_REQUIRED[kind] <= names <= parsers.keys()):
        raise ProtocolViolation(StreamCode.MALFORMED, f"fields of {kind.__name__.lower()}")
    parsed: dict[str, Any] = {}
    for name in names:
        try:
            parsed[name] = parsers[name](value[name])
        except ValueError as error:
            raise ProtocolViolation(StreamCode.MALFORMED, f"{kind.__name__.lower()}.{name}") from error
    return kind(**parsed)


def read_to_server(value: Mapping[str, object]) -> ToServer:
    """Turn a JSON object into a message to the server. Raises ProtocolViolation(StreamCode.MALFORMED)."""
    return cast("ToServer", _from_json(value, TO_SERVER))


def read_to_client(value: Mapping[str, object]) -> ToClient:
    """Turn a JSON object into a message to a client. Raises ProtocolViolation(StreamCode.MALFORMED)."""
    return cast("ToClient", _from_json(value, TO_CLIENT))


class ServerDecoder:
    """Turn what a client sent on its stream into messages. Raises ProtocolViolation(StreamCode.MALFORMED)."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = ObjectReader()

    def feed(self, data: bytes | memoryview) -> list[ToServer]:
        """Take bytes and return the messages they complete."""
        return [read_to_server(value) for value in self._reader.feed(data)]


class ClientDecoder:
    """Turn what the server sent on the stream into messages. Raises ProtocolViolation(StreamCode.MALFORMED)."""

    __slots__ = ("_reader",)

    def __init__(self) -> None:
        self._reader = ObjectReader()

    def feed(self, data: bytes | memoryview) -> list[ToClient]:
        """Take bytes and return the messages they complete."""
        return [read_to_client(value) for value in self._reader.feed(data)]
