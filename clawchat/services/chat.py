"""Chat: the messages between a chat client and the server's hub, and their bytes.

A chat runs over one stream that the client opened with the preface of the service ``chat``. Each message is
one JSON object (``clawchat.services.framing``) whose ``type`` names a class below in lower case and whose
other keys are that class's fields; a field that is None is left out. A key too many, a value of another
type or beyond its cap is malformed and ends the stream, never the session.

    client                                   server
      hello(name, token)  ─────────────────▶
                          ◀─────────────────  welcome(name, server, rooms), joined(lobby, name, members)
      say(id, text, room) ─────────────────▶
                          ◀─────────────────  accepted(id, number)               the server has it
                                              message(number, …)  ──▶ each other member
                                              received(numbers)   ◀── its client has it
                          ◀─────────────────  delivered(id, number, name)        one a member

``clawchat.services.chat_codec`` has the bytes; ``ChatClient`` (``clawchat.services.chat_client``) and ``Hub``
(``clawchat.services.chat_hub``) are the two ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from clawchat.services.chat_fields import (
    Flag,
    Id,
    Name,
    Names,
    Number,
    Numbers,
    Text,
    Token,
)

DEFAULT_ROOM = "lobby"
CHAT_VERSION = 1


# ---------------------------------------------------------------------------------------- client to server


@dataclass(frozen=True, slots=True)
class Hello:
    """Enter the chat; the same ``token`` on a new stream takes the place of the old one's member.

    ``again`` tells that the ids of what is said go on where they were: the same program, on a new stream.
    """

    name: Name
    version: Number = CHAT_VERSION
    token: Token | None = None
    again: Flag = False


@dataclass(frozen=True, slots=True)
class Join:
    """Enter a room, which comes to be when it is not there."""

    room: Name


@dataclass(frozen=True, slots=True)
class Leave:
    """Leave a room."""

    room: Name


@dataclass(frozen=True, slots=True)
class Who:
    """Ask who is in a room; answered by Members."""

    room: Name


@dataclass(frozen=True, slots=True)
class List:
    """Ask which rooms there are; answered by Rooms."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Take another name; answered by Renamed."""

    name: Name


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text in a room, or to one person alone; ``id`` is the client's and comes back in the receipts."""

    id: Id
    text: Text
    room: Name | None = None
    to: Name | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """Confirm that this client has these messages."""

    numbers: Numbers


# ---------------------------------------------------------------------------------------- server to client


@dataclass(frozen=True, slots=True)
class Welcome:
    """Tell the member its name (another one when the wish was taken) and the rooms there are."""

    name: Name
    server: Name
    rooms: Names
    version: Number = CHAT_VERSION


@dataclass(frozen=True, slots=True)
class Joined:
    """Tell that somebody entered a room; ``members`` only stands in the newcomer's own copy."""

    room: Name
    name: Name
    members: Names | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """Tell that somebody left a room."""

    room: Name
    name: Name
    why: Id = ""


@dataclass(frozen=True, slots=True)
class Renamed:
    """Tell that somebody has another name now."""

    old: Name
    new: Name


@dataclass(frozen=True, slots=True)
class Members:
    """Answer Who."""

    room: Name
    names: Names


@dataclass(frozen=True, slots=True)
class Rooms:
    """Answer List; ``counts`` are the numbers of members, in the order of ``names``."""

    names: Names
    counts: Numbers


@dataclass(frozen=True, slots=True)
class Accepted:
    """Tell the sender that the server has the text as message ``number``, and how many it goes to."""

    id: Id
    number: Number
    waiting: Number = 0


@dataclass(frozen=True, slots=True)
class Delivered:
    """Tell the sender that the client of ``name`` has the message."""

    id: Id
    number: Number
    name: Name


@dataclass(frozen=True, slots=True)
class Message:
    """Carry what somebody said, in a room or (``to``) to this member alone; ``at`` is Unix seconds.

    ``past`` marks history from before the member came, which needs no receipt.
    """

    number: Number
    sender: Name
    text: Text
    at: Number
    room: Name | None = None
    to: Name | None = None
    past: Flag = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Tell why a request was not done: ``reason`` is one of the words below, ``about`` the request's type or id."""

    about: Id
    reason: Id


@dataclass(frozen=True, slots=True)
class Missed:
    """Tell a slow member how many messages were left out because its queue was full."""

    count: Number


REFUSAL_NOT_IN_ROOM = "not-in-room"
REFUSAL_NOBODY = "nobody-of-that-name"
REFUSAL_NAME_TAKEN = "name-taken"
REFUSAL_FULL = "full"
REFUSAL_NO_ROOM = "no-such-room"

ToServer: TypeAlias = Hello | Join | Leave | Who | List | Rename | Say | Received
ToClient: TypeAlias = (
    Welcome | Joined | Left | Renamed | Members | Rooms | Accepted | Delivered | Message | Refused | Missed
)
