from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.services.chat import Accepted, Delivered, Joined, Left, Message, ToClient, Welcome
from clawchat.services.chat_client import ChatClient
from clawchat.services.chat_codec import ServerDecoder, encode
from clawchat.services.chat_hub import Hub
from clawchat.services.preface import PrefaceReader
from clawchat.values.errors import ProtocolViolation, UsageError

NOW = 1_700_000_000


class Wire:
    """One client joined to a hub by a stream that can be cut."""

    def __init__(self, hub: Hub, client: ChatClient) -> None:
        self.hub = hub
        self.client = client
        self.open()

    def open(self) -> None:
        self.key = self.hub.attach()
        self.preface: PrefaceReader | None = PrefaceReader()
        self.decoder = ServerDecoder()
        self.client.start()

    def to_server(self) -> None:
        data = self.client.outgoing()
        if self.preface is not None:
            found = self.preface.feed(data)
            if found is None:
                return
            assert found[0] == "chat"
            data, self.preface = found[1], None
        for message in self.decoder.feed(data):
            self.hub.receive(self.key, message, unix_now=NOW)

    def to_client(self) -> list[ToClient]:
        return self.client.receive(b"".join(map(encode, self.hub.take(self.key, 1000))))

    def settle(self) -> list[ToClient]:
        self.to_server()
        told = self.to_client()
        self.to_server()
        return told


@pytest.fixture
def hub() -> Hub:
    return Hub(server="home")


@pytest.fixture
def ann(hub: Hub) -> Wire:
    wire = Wire(hub, ChatClient("ann", token="a"))
    wire.settle()
    return wire


@pytest.fixture
def bob(hub: Hub, ann: Wire) -> Wire:
    wire = Wire(hub, ChatClient("bob", token="b"))
    wire.settle()
    ann.settle()
    return wire


def test_the_client_learns_its_name_and_rooms(ann: Wire) -> None:
    assert (ann.client.name, ann.client.server, ann.client.rooms) == ("ann", "home", {"lobby"})


def test_receipts_come_by_themselves(ann: Wire, bob: Wire) -> None:
    said = ann.client.say("hi")
    assert ann.settle() == [Accepted(said, 1, 1)]
    assert bob.settle() == [Message(1, "ann", "hi", NOW, room="lobby")]
    assert ann.settle() == [Delivered(said, 1, "bob")]


def test_what_was_not_accepted_is_said_again_on_a_new_stream(ann: Wire, bob: Wire) -> None:
    ann.client.say("lost")
    ann.client.outgoing()
    ann.open()
    ann.settle()
    assert ann.client.unaccepted == 0
    assert [told.text for told in bob.settle() if isinstance(told, Message)] == ["lost"]


def test_what_was_accepted_without_our_knowing_is_not_said_twice(ann: Wire, bob: Wire) -> None:
    ann.client.say("once")
    ann.to_server()
    ann.open()
    ann.settle()
    assert ann.client.unaccepted == 0
    assert [told.text for told in bob.settle() if isinstance(told, Message)] == ["once"]


def test_a_message_is_handed_out_once(ann: Wire, bob: Wire) -> None:
    ann.client.say("hi")
    ann.to_server()
    assert any(isinstance(told, Message) for told in bob.to_client())
    bob.open()
    assert not any(isinstance(told, Message) for told in bob.settle())


def test_rooms_are_entered_again(ann: Wire) -> None:
    ann.client.join("garden")
    ann.settle()
    ann.open()
    ann.settle()
    assert ann.client.rooms == {"lobby", "garden"}


def test_a_new_name_is_kept(ann: Wire) -> None:
    ann.client.rename("anna")
    ann.settle()
    assert ann.client.name == "anna"


def test_leaving_is_known(ann: Wire) -> None:
    ann.client.join("garden")
    ann.client.leave("garden")
    told = ann.settle()
    assert told == [Joined("garden", "ann", ("ann",)), Left("garden", "ann", "left")]
    assert ann.client.rooms == {"lobby"}


@pytest.mark.parametrize("text", ["", "x" * 20_000, "\x1b[2J"])
def test_a_text_that_cannot_be_sent_is_the_callers_fault(ann: Wire, text: str) -> None:
    with pytest.raises(UsageError):
        ann.client.say(text)


def test_a_name_that_cannot_be_is_the_callers_fault() -> None:
    with pytest.raises(UsageError):
        ChatClient("two words")


def test_bytes_that_are_no_chat_are_a_violation(ann: Wire) -> None:
    with pytest.raises(ProtocolViolation):
        ann.client.receive(b"\xff\xff\xff\xff")


@given(st.data())
def test_however_often_the_stream_is_cut_every_text_arrives_once_and_in_order(data: st.DataObject) -> None:
    hub = Hub(server="home")
    ann, bob = Wire(hub, ChatClient("ann", token="a")), Wire(hub, ChatClient("bob", token="b"))
    heard: list[str] = []

    def listen(told: list[ToClient]) -> None:
        heard.extend(item.text for item in told if isinstance(item, Message))

    ann.settle()
    listen(bob.settle())
    texts = [f"text {number}" for number in range(12)]
    for text in texts:
        ann.client.say(text)
        for step in data.draw(st.lists(st.sampled_from(["up", "down", "hear", "answer", "cut ann", "cut bob"]))):
            match step:
                case "up":
                    ann.to_server()
                case "down":
                    ann.to_client()
                case "hear":
                    listen(bob.to_client())
                case "answer":
                    bob.to_server()
                case "cut ann":
                    ann.open()
                case _:
                    bob.open()
    for _ in range(3):
        ann.settle()
        listen(bob.settle())
    assert heard == texts
    assert ann.client.unaccepted == 0


def test_a_welcome_with_another_name_is_followed(hub: Hub, ann: Wire) -> None:
    second = Wire(hub, ChatClient("ann"))
    assert Welcome("ann-2", "home", ("lobby",)) in second.settle()
    assert second.client.name == "ann-2"
    assert ann.client.name == "ann"
