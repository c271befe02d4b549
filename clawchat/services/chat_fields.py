"""What the fields of chat messages may hold, and how they are parsed.

A parser takes a decoded JSON value and returns the field's value, or raises ValueError.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT_BYTES = 16 * 1024
MAX_NAME_BYTES = 64
MAX_ID_CHARACTERS = 32
MAX_TOKEN_CHARACTERS = 64
# A list of this many longest names fits one object.
MAX_MEMBERS = 256
MAX_ROOMS = 256
MAX_RECEIPTS = 1024
# JSON numbers are exact up to 2**53 in every language.
MAX_NUMBER = 2**53


def is_name(value: str) -> bool:
    """Tell whether a text can name a person or a room: 1-64 bytes, printable, no white space, NFC."""
    return (
        value.isprintable()
        and 1 <= len(value.encode()) <= MAX_NAME_BYTES
        and not any(character.isspace() for character in value)
        and unicodedata.is_normalized("NFC", value)
    )


def is_text(value: str) -> bool:
    """Tell whether a text can be said: 1 byte to 16 KiB, no control character but newline and tab."""
    try:
        return 1 <= len(value.encode()) <= MAX_TEXT_BYTES and not any(map(_is_control, value))
    except UnicodeEncodeError:
        return False


def clean_text(value: str) -> str:
    """Make a text sayable: control characters become U+FFFD, and what exceeds the cap is cut off."""
    shown = "".join("\ufffd" if _is_control(character) else character for character in value)
    return shown.encode(errors="replace")[:MAX_TEXT_BYTES].decode(errors="ignore")


def clean_name(value: str, fallback: str = "someone") -> str:
    """Make a name out of any text, such as a login name."""
    normal = unicodedata.normalize("NFC", value)
    shown = "".join(character for character in normal if character.isprintable() and not character.isspace())
    return shown.encode(errors="ignore")[:MAX_NAME_BYTES].decode(errors="ignore") or fallback


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t"


def _text_of(check: Callable[[str], bool]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if not isinstance(value, str) or not check(value):
            raise ValueError
        return value

    return parse


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise ValueError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - the decoder knows one kind of refusal
    return value


def _list_of(parse: Callable[[object], object], most: int) -> Callable[[object], tuple[object, ...]]:
    def parse_list(value: object) -> tuple[object, ...]:
        if not isinstance(value, list) or len(value) > most:
            raise ValueError
        return tuple(map(parse, value))

    return parse_list


_name = _text_of(is_name)
_short = _text_of(lambda value: len(value) <= MAX_ID_CHARACTERS and value.isascii() and value.isprintable())
_token = _text_of(lambda value: len(value) <= MAX_TOKEN_CHARACTERS and value.isascii() and value.isalnum())

Name: TypeAlias = Annotated[str, _name]
Names: TypeAlias = Annotated[tuple[str, ...], _list_of(_name, MAX_MEMBERS)]
Text: TypeAlias = Annotated[str, _text_of(is_text)]
Id: TypeAlias = Annotated[str, _short]
Token: TypeAlias = Annotated[str, _token]
Number: TypeAlias = Annotated[int, _number]
Numbers: TypeAlias = Annotated[tuple[int, ...], _list_of(_number, MAX_RECEIPTS)]
Flag: TypeAlias = Annotated[bool, _flag]
