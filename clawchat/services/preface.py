"""The preface of a stream: which service the stream belongs to.

Whoever opens a stream writes one byte of length and that many ASCII bytes of the service's name, and then
speaks that service. Streams of both ends carry it, so that a program can refuse what it does not offer
without guessing. The codes below are what a stream is reset with.
"""

from __future__ import annotations

from enum import IntEnum

from clawchat.values.errors import ProtocolViolation

# The names that are spoken today.
CHAT = "chat"
CREDENTIAL = "credential"
FILES = "files"
FORWARD = "forward"

MAX_SERVICE_NAME = 32


class StreamCode(IntEnum):
    """Why a program reset a stream."""

    UNKNOWN_SERVICE = 1
    MALFORMED = 2
    BUSY = 3
    SHUTDOWN = 4
    REFUSED = 5


def write_preface(service: str) -> bytes:
    """Encode the preface of a service."""
    name = service.encode("ascii")
    return bytes((len(name),)) + name


class PrefaceReader:
    """Collect the first bytes of a stream until the service is known."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> tuple[str, bytes] | None:
        """Take bytes; return the service and the bytes that follow its name once they are here.

        Raises ProtocolViolation(StreamCode.MALFORMED) for a name that cannot be one.
        """
        self._buffer += data
        if not self._buffer:
            return None
        length = self._buffer[0]
        if not 1 <= length <= MAX_SERVICE_NAME:
            raise ProtocolViolation(StreamCode.MALFORMED, "length of the service name")
        if len(self._buffer) <= length:
            return None
        name = bytes(self._buffer[1 : 1 + length])
        if not (name.isalpha() and name.islower()):
            raise ProtocolViolation(StreamCode.MALFORMED, "service name")
        return name.decode("ascii"), bytes(self._buffer[1 + length :])
