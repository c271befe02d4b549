from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.values.errors import UsageError
from client.commands import COMMANDS, Command, Say, help_text, parse_line, parse_record


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("hello there", Say("hello there")),
        ("  hello  ", Say("hello")),
        ("", None),
        ("   ", None),
        ("//etc is a directory", Say("/etc is a directory")),
        ("/who", Command("who")),
        ("/WHO  kitchen ", Command("who", "kitchen")),
        ("/nick ann", Command("name", "ann")),
        ("/to ann  how are you", Say("how are you", to="ann")),
        ("/q", Command("quit")),
    ],
)
def test_a_line_is_a_text_or_a_command(line: str, meaning: object) -> None:
    assert parse_line(line) == meaning


@pytest.mark.parametrize(("line", "hint"), [("/wo", "//wo"), ("/join", "ROOM"), ("/to ann", "/to NAME TEXT")])
def test_a_wrong_command_says_what_would_be_right(line: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        parse_line(line)


def test_help_names_every_command() -> None:
    assert all(f"/{word}" in help_text() for word in COMMANDS)


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("plain text", Say("plain text")),
        ("/who is there?", Say("/who is there?")),
        ("  ", None),
        ('{"text": "hi"}', Say("hi")),
        ('{"text": "hi", "room": "kitchen"}', Say("hi", room="kitchen")),
        ('{"text": "hi", "to": "ann", "room": null}', Say("hi", to="ann")),
        ('{"command": "who kitchen"}', Command("who", "kitchen")),
        ('{"command": "/rooms"}', Command("rooms")),
    ],
)
def test_a_line_of_a_program_is_an_object_or_a_text(line: str, meaning: object) -> None:
    assert parse_record(line) == meaning


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "{}",
        '{"text": 1}',
        '{"text": "hi", "rooom": "kitchen"}',
        '{"text": "hi", "to": "ann", "room": "kitchen"}',
        '{"command": "fly"}',
        '{"command": "who", "text": "hi"}',
        '{"a":' * 5000,
    ],
)
def test_an_object_that_is_neither_is_refused(line: str) -> None:
    with pytest.raises(UsageError):
        parse_record(line)


@given(st.text())
def test_any_line_is_read_or_refused(line: str) -> None:
    for parse in (parse_line, parse_record):
        try:
            parse(line)
        except UsageError as error:
            assert str(error)  # noqa: PT017 - the other half of the property is that nothing else is raised
