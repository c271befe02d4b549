from __future__ import annotations

import pytest

from clawchat.services.chat import Delivered, Hello, Joined, Left, Message, Received, Say, ToClient, ToServer
from clawchat.services.chat_codec import ClientDecoder, encode
from clawchat.services.chat_hub import Hub
from clawchat.services.preface import StreamCode, write_preface
from clawchat.values.errors import PeerClosed, TimedOut, UsageError
from server.chat_service import ChatService
from server.logs import Log


class FakeSession:
    """A session with one stream, whose client the test plays."""

    def __init__(self, space: int = 1 << 20) -> None:
        self.inbox = bytearray()
        self.outbox = bytearray()
        self.space = space
        self.ended = False
        self.finished = False
        self.refused: int | None = None
        self.closing = False

    def read(self, stream: int, limit: int = -1) -> bytes:  # noqa: ARG002 - the session's surface
        data, self.inbox = bytes(self.inbox), bytearray()
        return data

    def at_end(self, stream: int) -> bool:  # noqa: ARG002 - the session's surface
        return self.ended and not self.inbox

    def room(self, stream: int) -> int:  # noqa: ARG002 - the session's surface
        return self.space - len(self.outbox)

    def write(self, stream: int, data: bytes, *, fin: bool = False) -> None:  # noqa: ARG002 - the session's surface
        if self.closing:
            raise UsageError("the session is closing")
        self.outbox += data
        self.finished |= fin

    def reset(self, stream: int, code: int) -> None:  # noqa: ARG002 - the session's surface
        self.refused = code

    def stop(self, stream: int, code: int) -> None:  # noqa: ARG002 - the session's surface
        assert self.refused == code


class Client:
    """One client on stream 0 of its own session."""

    def __init__(self, chat: ChatService, number: int, name: str, space: int = 1 << 20) -> None:
        self.chat = chat
        self.number = number
        self.session = FakeSession(space)
        self.decoder = ClientDecoder()
        chat.opened(number, self.session, 0)
        if name:
            self.sends(write_preface("chat") + encode(Hello(name)))

    def sends(self, data: bytes) -> None:
        self.session.inbox += data
        self.chat.readable(self.number, 0)

    def says(self, *messages: ToServer) -> None:
        self.sends(b"".join(map(encode, messages)))

    def hears(self) -> list[ToClient]:
        data, self.session.outbox = bytes(self.session.outbox), bytearray()
        return self.decoder.feed(data)

    def reads(self) -> list[ToClient]:
        """Hear everything, however little fits the stream at once."""
        heard = self.hears()
        while True:
            self.chat.writable(self.number, 0)
            more = self.hears()
            if not more:
                return heard
            heard += more


@pytest.fixture
def chat() -> ChatService:
    return ChatService(Hub(server="home"), wake=lambda: None, keep=lambda: None, log=Log())


@pytest.fixture
def ann(chat: ChatService) -> Client:
    client = Client(chat, 1, "ann")
    client.hears()
    return client


@pytest.fixture
def bob(chat: ChatService, ann: Client) -> Client:
    client = Client(chat, 2, "bob")
    client.hears()
    ann.hears()
    return client


def texts(heard: list[ToClient]) -> list[str]:
    return [told.text for told in heard if isinstance(told, Message)]


def test_two_sessions_talk(ann: Client, bob: Client) -> None:
    ann.says(Say("1", "hi"))
    assert texts(bob.hears()) == ["hi"]
    ann.hears()
    bob.says(Received((1,)))
    assert ann.hears() == [Delivered("1", 1, "bob")]


def test_bytes_may_come_one_by_one(chat: ChatService) -> None:
    client = Client(chat, 1, "")
    for byte in write_preface("chat") + encode(Hello("ann")):
        client.sends(bytes((byte,)))
    assert chat.names(1) == ["ann"]


def test_a_service_that_is_not_here_is_refused(chat: ChatService) -> None:
    client = Client(chat, 1, "")
    client.sends(write_preface("files"))
    assert client.session.refused == StreamCode.UNKNOWN_SERVICE


def test_nonsense_ends_the_stream_and_the_member(chat: ChatService, ann: Client, bob: Client) -> None:
    bob.sends(b"\xff\xff\xff\xff")
    assert bob.session.refused == StreamCode.MALFORMED
    assert ann.hears() == [Left("lobby", "bob", "left")]
    assert chat.names(2) == []


def test_a_session_has_few_chats(chat: ChatService) -> None:
    sessions = [FakeSession() for _ in range(5)]
    for number, session in enumerate(sessions):
        chat.opened(1, session, number)
        if session.refused is None:
            continue
        assert (number, session.refused) == (4, StreamCode.BUSY)
    assert sessions[4].refused is not None


def test_the_end_of_a_stream_is_answered_with_ours(ann: Client, bob: Client) -> None:
    bob.session.ended = True
    bob.sends(b"")
    assert bob.session.finished
    assert ann.hears() == [Left("lobby", "bob", "left")]


@pytest.mark.parametrize(("error", "why"), [(TimedOut("gone"), "lost"), (PeerClosed(0, "bye"), "left")])
def test_the_end_of_a_session_is_told(
    chat: ChatService, ann: Client, bob: Client, error: TimedOut | PeerClosed, why: str
) -> None:
    chat.session_ended(bob.number, error)
    assert ann.hears() == [Left("lobby", "bob", why)]


def test_a_stream_given_up_is_the_members_end(chat: ChatService, ann: Client, bob: Client) -> None:
    chat.broken(bob.number, 0)
    assert ann.hears() == [Left("lobby", "bob", "left")]


def test_a_full_stream_is_written_when_it_has_room(chat: ChatService, ann: Client) -> None:
    bob = Client(chat, 2, "bob", space=100)
    bob.reads()
    for number in range(200):
        ann.says(Say(str(number), f"text {number}"))
    assert 1 <= len(bob.session.outbox) < 10_000
    assert texts(bob.reads()) == [f"text {number}" for number in range(200)]


def test_a_member_that_does_not_read_is_not_read(chat: ChatService, ann: Client) -> None:
    bob = Client(chat, 2, "bob", space=1)
    bob.says(*(Say(str(number), "x") for number in range(600)))
    bob.says(Say("late", "not yet"))
    assert "not yet" not in texts(ann.hears())
    bob.reads()
    assert "not yet" in texts(ann.hears())


def test_a_slow_member_holds_up_nobody_else(chat: ChatService, ann: Client, bob: Client) -> None:
    Client(chat, 3, "slow", space=1)
    ann.hears()
    bob.hears()
    for number in range(2000):
        ann.says(Say(str(number), "x"))
        ann.hears()
    assert len(texts(bob.hears())) == 2000


def test_a_closing_session_is_left_alone(chat: ChatService, ann: Client, bob: Client) -> None:
    carl = Client(chat, 3, "carl")
    bob.session.closing = True
    ann.says(Say("1", "hi"))
    assert texts(carl.hears()) == ["hi"]
    assert Left("lobby", "bob", "left") in ann.hears()


def test_a_client_that_comes_back_ends_its_old_stream(chat: ChatService) -> None:
    old, new = Client(chat, 1, ""), Client(chat, 2, "")
    for client in (old, new):
        client.sends(write_preface("chat") + encode(Hello("ann", token="t")))
    assert old.session.refused == StreamCode.SHUTDOWN
    assert chat.names(2) == ["ann"]


class TestMembersOfThisProcess:
    def test_talk_with_clients(self, chat: ChatService, ann: Client) -> None:
        rung: list[bool] = []
        key = chat.attach("operator", lambda: rung.append(True))
        assert rung
        chat.take(key)
        ann.hears()
        ann.says(Say("1", "help"))
        (told,) = chat.take(key)
        assert isinstance(told, Message)
        chat.say(key, Received((told.number,)))
        assert Delivered("1", told.number, "operator") in ann.hears()
        chat.say(key, Say("1", "coming"))
        assert texts(ann.hears()) == ["coming"]

    def test_leave(self, chat: ChatService, ann: Client) -> None:
        key = chat.attach("operator", lambda: None)
        chat.detach(key)
        assert ann.hears() == [Joined("lobby", "operator"), Left("lobby", "operator", "left")]
        assert chat.take(key) == []
