from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.services.chat import (
    Accepted,
    Delivered,
    Hello,
    Join,
    Joined,
    Left,
    List,
    Message,
    Received,
    Rooms,
    Say,
    ToClient,
    ToServer,
    Welcome,
)
from clawchat.services.chat_codec import ClientDecoder, ServerDecoder, encode, to_json
from clawchat.services.chat_fields import MAX_TEXT_BYTES, clean_name, clean_text, is_name, is_text
from clawchat.services.framing import MAX_OBJECT_BYTES, write_object
from clawchat.values.errors import ProtocolViolation

TO_SERVER: list[ToServer] = [
    Hello("ann", token="a1b2"),
    Hello("Zoë"),
    Join("garden"),
    List(),
    Say("1", "hello\nworld", room="lobby"),
    Say("2", "psst", to="bob"),
    Received((1, 2, 3)),
]
TO_CLIENT: list[ToClient] = [
    Welcome("ann", "home", ("lobby",)),
    Joined("lobby", "ann", ("ann", "bob")),
    Joined("lobby", "bob"),
    Left("lobby", "bob", "lost"),
    Rooms(("lobby",), (2,)),
    Accepted("1", 7, 1),
    Delivered("1", 7, "bob"),
    Message(7, "ann", "hi", 1_700_000_000, room="lobby", past=True),
]


@pytest.mark.parametrize("message", TO_SERVER)
def test_a_message_to_the_server_comes_back_as_it_was(message: ToServer) -> None:
    assert ServerDecoder().feed(encode(message)) == [message]


@pytest.mark.parametrize("message", TO_CLIENT)
def test_a_message_to_the_client_comes_back_as_it_was(message: ToClient) -> None:
    assert ClientDecoder().feed(encode(message)) == [message]


def test_what_is_not_set_is_left_out() -> None:
    assert to_json(Say("1", "hi", to="bob")) == {"type": "say", "id": "1", "text": "hi", "to": "bob"}


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"type": "shout", "text": "x"},
        {"type": "welcome", "name": "a", "server": "b", "rooms": []},
        {"type": "say", "id": "1"},
        {"type": "say", "id": "1", "text": "x", "colour": "red"},
        {"type": "say", "id": 1, "text": "x"},
        {"type": "say", "id": "1", "text": "x", "room": None},
        {"type": "say", "id": "x" * 33, "text": "x"},
        {"type": "say", "id": "1", "text": ""},
        {"type": "say", "id": "1", "text": "\x1b[2J"},
        {"type": "say", "id": "1", "text": "y" * (MAX_TEXT_BYTES + 1)},
        {"type": "hello", "name": "two words"},
        {"type": "hello", "name": "a", "token": "no spaces"},
        {"type": "hello", "name": "a", "version": True},
        {"type": "received", "numbers": [1, -1]},
        {"type": "received", "numbers": [1.0]},
        {"type": "received", "numbers": "123"},
        {"type": "received", "numbers": list(range(1025))},
        {"type": ["say"]},
    ],
)
def test_what_the_server_must_not_be_told_is_a_violation(value: dict[str, object]) -> None:
    with pytest.raises(ProtocolViolation):
        ServerDecoder().feed(write_object(value))


def test_a_lone_surrogate_is_no_text() -> None:
    body = b'{"type":"say","id":"1","text":"\\ud800"}'
    with pytest.raises(ProtocolViolation):
        ServerDecoder().feed(len(body).to_bytes(4, "big") + body)


def test_the_longest_text_fits_one_object() -> None:
    assert len(encode(Say("1", '"' * MAX_TEXT_BYTES))) < MAX_OBJECT_BYTES


def test_the_longest_list_of_members_fits_one_object() -> None:
    names = tuple(f"{number:0>64}" for number in range(256))
    assert len(encode(Joined("lobby", "a", names))) < MAX_OBJECT_BYTES


@given(st.text())
def test_any_text_can_be_made_sayable(text: str) -> None:
    cleaned = clean_text(text)
    assert is_text(cleaned) or not text


@given(st.text())
def test_any_text_can_be_made_a_name(text: str) -> None:
    assert is_name(clean_name(text))


@given(st.text(max_size=70))
def test_a_name_is_safe_to_print(text: str) -> None:
    if is_name(text):
        assert text.isprintable()
        assert len(text.split()) == 1
