"""Strict JSON for what is stored: every key known, none twice, every value of its one type and size."""

from __future__ import annotations

import binascii
import json
from typing import Never


class FieldError(ValueError):
    """Say what is wrong with a document, in words for a person."""


class Fields:
    """Take the fields of one JSON object, one by one, each with its type; ``end`` when nothing may be left.

    Every method raises FieldError.
    """

    __slots__ = ("_left",)

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise FieldError("an object is missing")
        self._left = dict(value)

    @classmethod
    def parse(cls, data: bytes | bytearray) -> Fields:
        """Parse a document that is one object."""
        try:
            value = json.loads(data, object_pairs_hook=_no_duplicates, parse_constant=_no_constant)
        except FieldError:
            raise
        except RecursionError:
            raise FieldError("it is nested too deeply") from None
        except ValueError:
            raise FieldError("it isn't JSON") from None
        return cls(value)

    def text(self, name: str, *, maximum: int) -> str:
        """Take a text of up to ``maximum`` printable characters."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) > maximum or not value.isprintable():
            raise FieldError(f"`{name}` isn't a text of up to {maximum} characters")
        return value

    def number(self, name: str, minimum: int, maximum: int) -> int:
        """Take a whole number between two bounds, both included."""
        value = self._take(name)
        if type(value) is not int or not minimum <= value <= maximum:
            raise FieldError(f"`{name}` isn't a whole number from {minimum} to {maximum}")
        return value

    def has(self, name: str) -> bool:
        """Tell whether a field that may be left out is there."""
        return name in self._left

    def flag(self, name: str) -> bool:
        """Take true or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise FieldError(f"`{name}` isn't true or false")
        return value

    def hexadecimal(self, name: str, size: int) -> bytearray:
        """Take ``size`` bytes written in hexadecimal, straight into memory that can be overwritten."""
        value = self._take(name)
        if not isinstance(value, str) or len(value) != 2 * size or not value.isalnum():
            raise FieldError(f"`{name}` isn't {size} bytes in hexadecimal")
        try:
            return bytearray.fromhex(value)
        except ValueError:
            raise FieldError(f"`{name}` isn't {size} bytes in hexadecimal") from None

    def base64(self, name: str) -> bytes:
        """Take bytes written in base64."""
        value = self._take(name)
        try:
            return binascii.a2b_base64(value if isinstance(value, str) else "?", strict_mode=True)
        except ValueError:
            raise FieldError(f"`{name}` isn't base64") from None

    def texts(self, name: str, *, maximum: int, count: int) -> tuple[str, ...]:
        """Take a list of up to ``count`` texts of up to ``maximum`` printable characters each."""
        values = self._list(name, count)
        return tuple(Fields({name: value}).text(name, maximum=maximum) for value in values)

    def items(self, name: str, *, count: int) -> list[Fields]:
        """Take a list of up to ``count`` objects."""
        return [Fields(value) for value in self._list(name, count)]

    def mapping(self, name: str) -> dict[str, object]:
        """Take an object as it is, to be looked into later."""
        value = self._take(name)
        if not isinstance(value, dict):
            raise FieldError(f"`{name}` isn't an object")
        return value

    def end(self) -> None:
        """Check that every field was taken."""
        if self._left:
            raise FieldError(f"{min(self._left)[:40]!a} isn't known")

    def _take(self, name: str) -> object:
        if name not in self._left:
            raise FieldError(f"`{name}` is missing")
        return self._left.pop(name)

    def _list(self, name: str, count: int) -> list[object]:
        value = self._take(name)
        if not isinstance(value, list) or len(value) > count:
            raise FieldError(f"`{name}` isn't a list of up to {count}")
        return value


def compact(value: dict[str, object]) -> bytes:
    """Write an object in the one form that is authenticated: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise FieldError("a key stands there twice")
    return value


def _no_constant(name: str) -> Never:
    raise FieldError(f"`{name}` isn't JSON")
