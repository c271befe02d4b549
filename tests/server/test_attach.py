from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from clawchat.services.chat import (
    Accepted,
    Delivered,
    Joined,
    Left,
    Members,
    Message,
    Missed,
    Refused,
    Renamed,
    Rooms,
    ToClient,
    Welcome,
)
from clawchat.services.chat_codec import to_json
from server.attach import HELP, Attached, describe

AT = 1_700_000_000


class FakeChannel:
    """A control channel whose other end the test plays."""

    def __init__(self, *told: ToClient) -> None:
        self.told = told
        self.sent: list[dict[str, Any]] = []

    async def send(self, value: Mapping[str, object]) -> None:
        self.sent.append(dict(value))

    async def objects(self):  # type: ignore[no-untyped-def] # noqa: ANN201 - an asynchronous generator, as the channel's
        for told in self.told:
            yield json.loads(json.dumps(to_json(told)))


def operator(*told: ToClient) -> tuple[Attached, FakeChannel, list[str]]:
    """An operator who was told some things already."""
    channel, shown = FakeChannel(Joined("lobby", "op", ("op",)), *told), list[str]()
    attached = Attached(channel, "op", shown.append)  # type: ignore[arg-type] # a fake channel
    asyncio.run(attached.listen())
    return attached, channel, shown


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        ("hello", {"type": "say", "id": "1", "text": "hello", "room": "lobby"}),
        ("  //slash", {"type": "say", "id": "1", "text": "/slash", "room": "lobby"}),
        ("/to ann hi there", {"type": "say", "id": "1", "text": "hi there", "to": "ann"}),
        ("/who", {"type": "who", "room": "lobby"}),
        ("/who garden", {"type": "who", "room": "garden"}),
        ("/rooms", {"type": "list"}),
        ("/join garden", {"type": "join", "room": "garden"}),
        ("/leave", {"type": "leave", "room": "lobby"}),
        ("bell\x07", {"type": "say", "id": "1", "text": "bell\ufffd", "room": "lobby"}),
    ],
)
def test_a_line_is_a_text_or_a_command(line: str, sent: dict[str, object]) -> None:
    attached, channel, _ = operator()
    assert asyncio.run(attached.type(line))
    assert channel.sent == [sent]


@pytest.mark.parametrize("line", ["/what", "/join", "/to ann", "/to", "/help", "/"])
def test_what_is_not_understood_shows_the_commands(line: str) -> None:
    attached, channel, shown = operator()
    assert asyncio.run(attached.type(line))
    assert (channel.sent, shown[-1]) == ([], HELP)


@pytest.mark.parametrize("line", ["/quit", "/q", "/exit"])
def test_leaving(line: str) -> None:
    assert not asyncio.run(operator()[0].type(line))


def test_a_message_is_shown_and_confirmed() -> None:
    _, channel, shown = operator(Message(7, "ann", "hi", AT, room="lobby"))
    assert shown[1] == "[lobby] ann: hi"
    assert channel.sent == [{"type": "received", "numbers": (7,)}]


def test_history_is_shown_only() -> None:
    _, channel, shown = operator(Message(7, "ann", "hi", AT, room="lobby", past=True))
    assert (shown[1], channel.sent) == ("[lobby] ann: hi", [])


def test_one_speaks_in_the_room_one_joined_last_and_in_none_after_leaving_it() -> None:
    attached, _, _ = operator(Joined("garden", "op", ("op",)))
    assert attached.room == "garden"
    attached, channel, _ = operator(Left("lobby", "op", "left"))
    asyncio.run(attached.type("/who"))
    assert (attached.room, channel.sent) == (None, [])


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (Welcome("op", "home", ("lobby",)), ""),
        (Accepted("1", 7), ""),
        (Joined("lobby", "op", ("ann", "op")), "* you are in lobby, with ann"),
        (Joined("lobby", "op", ("op",)), "* you are in lobby, with nobody else"),
        (Joined("lobby", "bob"), "* bob is in lobby now"),
        (Left("lobby", "bob", "left"), "* bob left lobby"),
        (Left("lobby", "bob", "lost"), "* bob left lobby (lost)"),
        (Renamed("bob", "rob"), "* bob is called rob now"),
        (Members("lobby", ("ann", "bob")), "* in lobby: ann, bob"),
        (Rooms(("lobby", "garden"), (2, 0)), "* rooms: lobby (2), garden (0)"),
        (Delivered("1", 7, "ann"), "  ✓ ann has it"),
        (Refused("1", "not-in-room"), "* refused: 1: not-in-room"),
        (Missed(3), "* 3 messages were left out, because this terminal was too slow"),
        (Message(1, "ann", "one\ntwo", AT, to="op"), "[to you] ann: one\n    two"),
        (Message(1, "ann", "a\tb", AT, room="lobby"), "[lobby] ann: a b"),
    ],
)
def test_everything_has_words(told: ToClient, text: str) -> None:
    assert describe(told, "op") == text
