"""Length-prefixed JSON objects on a stream, strictly parsed.

    u32 length | that many bytes of UTF-8 JSON, one object

Everything that is not exactly that raises ProtocolViolation(StreamCode.MALFORMED).
"""

from __future__ import annotations

import json
from typing import NoReturn

from clawchat.services.preface import StreamCode
from clawchat.values.errors import ProtocolViolation

LENGTH_BYTES = 4
# The longest chat text is 16 KiB and doubles at worst when escaped; lists of names stay below 40 KiB.
MAX_OBJECT_BYTES = 64 * 1024


def write_object(value: dict[str, object]) -> bytes:
    """Encode one object with its length. Raises ProtocolViolation when it is too long."""
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MAX_OBJECT_BYTES:
        raise ProtocolViolation(StreamCode.MALFORMED, "object too long")
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def parse_object(body: bytes) -> dict[str, object]:
    """Parse one JSON object: no repeated key, no NaN, no second value."""
    try:
        value = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ProtocolViolation(StreamCode.MALFORMED, "not JSON") from error
    if not isinstance(value, dict):
        raise ProtocolViolation(StreamCode.MALFORMED, "not an object")
    return value


class ObjectReader:
    """Cut a stream of bytes into objects; holds at most one unfinished object."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[dict[str, object]]:
        """Take bytes and return the objects they complete."""
        self._buffer += data
        found: list[dict[str, object]] = []
        at = 0
        while len(self._buffer) - at >= LENGTH_BYTES:
            length = int.from_bytes(self._buffer[at : at + LENGTH_BYTES], "big")
            if not 0 < length <= MAX_OBJECT_BYTES:
                raise ProtocolViolation(StreamCode.MALFORMED, "object length")
            end = at + LENGTH_BYTES + length
            if end > len(self._buffer):
                break
            found.append(parse_object(bytes(self._buffer[at + LENGTH_BYTES : end])))
            at = end
        del self._buffer[:at]
        return found


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
