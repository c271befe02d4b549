from __future__ import annotations

import asyncio

import pytest

from clawchat.net.stream import StreamAborted
from clawchat.net.user_events import (
    Accepted,
    Delivered,
    Joined,
    KeysChanged,
    Members,
    Message,
    PathChanged,
    PingLost,
    Pong,
    Renamed,
    Rooms,
    Said,
    Welcomed,
)
from clawchat.services.preface import StreamCode
from clawchat.values.address import Address, Path
from clawchat.values.errors import PeerClosed, PersonalError, TimedOut, UsageError
from tests.client.fakes import AT, FakeServer, Person, turns


def test_two_people_talk_and_both_ticks_come() -> None:
    async def scene() -> None:
        server = FakeServer()
        async with Person(server, "ann") as ann, Person(server, "bob") as bob:
            number = ann.link.say("hi")
            await turns()
            assert bob.told(Message) == [Message(bob_number(bob), "ann", "hi", AT, "lobby")]
            assert ann.told(Said) == [Said(number, "hi", "lobby")]
            assert [event.waiting for event in ann.told(Accepted) if isinstance(event, Accepted)] == [1]
            assert ann.told(Delivered) == [Delivered(number, "bob", 0)]
            assert await ann.link.settled(1.0, readers=True)
            assert ann.link.roster.members("lobby") == ["ann", "bob"]

    asyncio.run(scene())


def bob_number(person: Person) -> int:
    (message,) = person.told(Message)
    assert isinstance(message, Message)
    return message.number


def test_rooms_names_and_private_words() -> None:
    async def scene() -> None:
        server = FakeServer()
        async with Person(server, "ann", room="kitchen") as ann, Person(server, "bob") as bob:
            await turns()
            assert ann.link.rooms == ["kitchen", "lobby"]
            ann.link.say("anybody cooking?")
            ann.link.say("psst", to="bob")
            ann.link.list_rooms()
            ann.link.who("lobby")
            ann.link.rename("anna")
            await turns()
            assert [(event.text, event.to) for event in bob.told(Message) if isinstance(event, Message)] == [
                ("psst", "bob")
            ]
            assert ann.told(Rooms) == [Rooms(("lobby", "kitchen"), (2, 1))]
            assert ann.told(Members) == [Members("lobby", ("ann", "bob"))]
            assert bob.told(Renamed) == [Renamed("ann", "anna")]
            assert bob.link.roster.members("lobby") == ["anna", "bob"]
            assert ann.link.name == "anna"
            ann.link.leave("kitchen")
            assert ann.link.room == "lobby"

    asyncio.run(scene())


def test_a_name_that_is_taken_becomes_another() -> None:
    async def scene() -> None:
        server = FakeServer()
        async with Person(server, "ann"), Person(server, "ann") as other:
            (welcomed,) = other.told(Welcomed)
            assert isinstance(welcomed, Welcomed)
            assert welcomed.name != "ann"
            assert other.link.name == welcomed.name
            assert isinstance(other.told(Joined)[0], Joined)

    asyncio.run(scene())


def test_what_can_not_be_said_is_refused_at_once() -> None:
    async def scene() -> None:
        async with Person(FakeServer(), "ann") as ann:
            with pytest.raises(UsageError):
                ann.link.say("\x1b[2J")
            with pytest.raises(UsageError):
                ann.link.join("no such name")
            assert ann.link.outbox.sent == 0

    asyncio.run(scene())


def test_waiting_for_receipts_ends_with_the_time_given() -> None:
    async def scene() -> None:
        server = FakeServer()
        async with Person(server, "ann") as ann:
            server.deaf = True
            ann.link.say("hello?")
            assert not await ann.link.settled(0.01, readers=False)
            server.deaf = False
            server.deliver()
            assert await ann.link.settled(5.0, readers=False)

    asyncio.run(scene())


def test_a_ping_is_answered_or_lost() -> None:
    async def scene() -> None:
        async with Person(FakeServer(), "ann") as ann:
            assert await ann.link.ping(1.0) == Pong(1, 12.5, "203.0.113.7:5000 (direct)")
            ann.peer.answering.clear()
            assert await ann.link.ping(0.01) == PingLost(2)

    asyncio.run(scene())


def test_another_path_is_told() -> None:
    async def scene() -> None:
        async with Person(FakeServer(), "ann") as ann:
            assert ann.peer.on_path is not None
            ann.peer.on_path(Path(0, Address("198.51.100.2", 99)), "rebinding")
            assert ann.told(PathChanged) == [PathChanged("198.51.100.2:99 (direct)", "rebinding")]

    asyncio.run(scene())


def test_the_end_of_the_session_is_the_end_of_the_link() -> None:
    async def scene() -> None:
        async with Person(FakeServer(), "ann") as ann:
            ann.peer.end(TimedOut("gone"))
            assert isinstance(await ann.link.ended, TimedOut)
            assert ann.link.status().state == "connecting"

    asyncio.run(scene())


def test_a_session_that_ends_before_the_welcome_is_told_as_such() -> None:
    async def scene() -> None:
        server = FakeServer()
        server.deaf = True
        ann = Person(server, "ann")
        opening = asyncio.create_task(ann.link.open())
        await turns()
        ann.peer.end(PeerClosed(0, "the server is stopping"))
        with pytest.raises(PeerClosed):
            await opening
        await ann.link.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (StreamAborted("reset", StreamCode.UNKNOWN_SERVICE), "has no chat"),
        (StreamAborted("reset", 77), "code 77"),
        (None, "closed the chat"),
    ],
)
def test_a_server_without_a_chat_is_an_error_for_a_person(failure: StreamAborted | None, word: str) -> None:
    async def scene() -> None:
        server = FakeServer()
        server.deaf = True
        ann = Person(server, "ann")
        opening = asyncio.create_task(ann.link.open())
        await turns()
        server.streams[0].fail(failure)
        with pytest.raises(PersonalError, match=word) as caught:
            await opening
        assert caught.value.code == "CC-REFUSED"
        await ann.link.close()

    asyncio.run(scene())


def test_bytes_that_are_no_chat_end_it() -> None:
    async def scene() -> None:
        server = FakeServer()
        async with Person(server, "ann") as ann:
            server.streams[0].take(b"\x00\x00\x00\x02[]")
            error = await ann.link.ended
            assert isinstance(error, PersonalError)
            assert error.code == "CC-VERSION"

    asyncio.run(scene())


def test_new_keys_are_told_and_stand_in_the_status() -> None:
    async def scene() -> None:
        async with Person(FakeServer(), "ann") as ann:
            ann.link.rekey()
            assert ann.told(KeysChanged) == [KeysChanged(1)]
            assert ann.link.status().epoch == 1

    asyncio.run(scene())


def test_the_status_tells_how_it_goes() -> None:
    async def scene() -> None:
        async with Person(FakeServer(), "ann") as ann:
            status = ann.link.status()
            assert (status.server, status.state, status.name, status.room) == ("home", "connected", "ann", "lobby")
            assert (status.rtt_ms, status.words) == (12.5, ann.peer.words)

    asyncio.run(scene())
