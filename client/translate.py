"""Turn what the chat tells into events for the user."""

from __future__ import annotations

from typing import assert_never

from clawchat.net import user_events as told
from clawchat.services import chat
from client.outbox import Outbox


def translate(message: chat.ToClient, outbox: Outbox) -> told.UserEvent:  # noqa: PLR0911 - a table, one row a kind
    """Make the event of a chat message; the outbox knows how many readers a text of ours still waits for."""
    match message:
        case chat.Welcome():
            return told.Welcomed(message.name, message.rooms)
        case chat.Joined():
            return told.Joined(message.room, message.name, message.members)
        case chat.Left():
            return told.Left(message.room, message.name, message.why)
        case chat.Renamed():
            return told.Renamed(message.old, message.new)
        case chat.Members():
            return told.Members(message.room, message.names)
        case chat.Rooms():
            return told.Rooms(message.names, message.counts)
        case chat.Accepted():
            return told.Accepted(message.id, message.number, message.waiting)
        case chat.Delivered():
            return told.Delivered(message.id, message.name, outbox.waiting_after(message.id))
        case chat.Message():
            return told.Message(
                message.number, message.sender, message.text, message.at, message.room, message.to, message.past
            )
        case chat.Refused():
            return told.Refused(message.about, message.reason)
        case chat.Missed():
            return told.Missed(message.count)
        case _:
            assert_never(message)
