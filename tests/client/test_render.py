from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.net.user_events import (
    Connected,
    Joined,
    Message,
    PingSummary,
    Refused,
    Said,
    Silent,
    Status,
    UserEvent,
)
from client.outbox import Text, Tick
from client.render import STYLES, describe, indented, own_text, plain, safe, shortened
from tests.client.strategies import events


def line(event: UserEvent, me: str = "me", room: str = "lobby") -> str:
    return plain(describe(event, me=me, room=room) or [])


@given(events)
def test_no_event_moves_the_cursor_or_turns_the_line(event: UserEvent) -> None:
    fragments = describe(event, me="me", room="lobby") or []
    for style, text in fragments:
        assert style in STYLES
        for character in text:
            assert character == "\n" or not (ord(character) < 32 or 0x7F <= ord(character) < 0xA0)
            assert character not in "\u202e\u2066\u200f"


@given(st.text())
def test_no_line_of_a_text_looks_like_another_message(text: str) -> None:
    first, *others = indented(text).split("\n")
    assert all(other.startswith("    ") for other in others)
    assert "\r" not in first


def test_a_message_says_where_it_was_said() -> None:
    assert line(Message(1, "ann", "hi", 0, room="lobby")).endswith(" ann: hi")
    assert line(Message(1, "ann", "hi", 0, room="kitchen")).endswith(" ann #kitchen: hi")
    assert line(Message(1, "ann", "hi", 0, to="me")).endswith(" ann → you: hi")


def test_a_time_that_no_calendar_has_is_unknown() -> None:
    assert line(Message(1, "ann", "hi", 2**53 - 1, room="lobby")).startswith("--:-- ann")


def test_the_safety_words_are_shown_with_what_to_do() -> None:
    shown = line(Connected("home", "123 456 apple", "203.0.113.1:5 (direct)", 0.25))
    assert "safety words: 123 456 apple" in shown
    assert "other end must see the same" in shown


def test_joining_alone_and_with_others() -> None:
    assert line(Joined("lobby", "me", ("me",))) == "· you are in #lobby with nobody else"
    assert line(Joined("lobby", "me", ("ann", "me"))) == "· you are in #lobby with ann"
    assert line(Joined("lobby", "ann")) == "· ann joined #lobby"


def test_a_silence_is_a_warning() -> None:
    assert line(Silent(7.4)) == "! no answer for 7 s, still trying"


def test_a_refusal_is_told_in_words() -> None:
    assert line(Refused("rename", "name-taken")) == "! not done: somebody else has that name"
    assert line(Refused("rename", "later-word")) == "! not done: later-word"


def test_own_texts_show_their_tick() -> None:
    text = Text(Said("1", "hi", "kitchen"), at=0.0)
    assert plain(own_text(text, me="me", room="kitchen", at=0)).endswith(" me: hi …")
    text.tick = Tick.DELIVERED
    assert plain(own_text(text, me="me", room="lobby", at=0)).endswith(" me #kitchen: hi ✓✓")


def test_a_status_shows_path_round_trip_and_words() -> None:
    shown = line(
        Status("home", "connected", 42, "ann", "lobby", "123 456", "203.0.113.1:5 (direct)", 12.34, 0.01, age=75)
    )
    assert "home: connected for 1 min 15 s" in shown
    assert "203.0.113.1:5 (direct), round trip 12.3 ms, 1.0 % lost" in shown
    assert "123 456" in shown


@pytest.mark.parametrize(("answered", "end"), [(0, "100 % lost"), (2, "min/mean/max 1.00/2.00/3.00 ms")])
def test_a_summary_of_pings(answered: int, end: str) -> None:
    times = (1.0, 2.0, 3.0) if answered else (None, None, None)
    assert line(PingSummary(2, answered, *times)).endswith(end)


def test_quotes_are_short() -> None:
    assert shortened("a\nb") == "“a b”"
    assert len(shortened("x" * 100)) <= 42


def test_safe_text_is_left_as_it_is() -> None:
    assert safe("Grüße, 你好 👋🏽 👩‍👩‍👧") == "Grüße, 你好 👋🏽 👩‍👩‍👧"
