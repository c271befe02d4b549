"""Hand the next credential over through the session that the last one opened.

The server opens a stream with the preface of the service ``credential``, writes one credential as the JSON
that a security file seals, and ends the stream. The client keeps it sealed and joins with it the next time,
like with any other; the server burns it when that is confirmed.
"""

from __future__ import annotations

from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.crypto.derive import wipe
from clawchat.crypto.secfile import MAX_FILE_BYTES, decode_credential, encode_credential
from clawchat.services.preface import CREDENTIAL, StreamCode, write_preface
from clawchat.values.errors import ProtocolViolation, SecurityFileError

MAX_CREDENTIAL_BYTES: Final = MAX_FILE_BYTES


def write_handover(credential: Credential) -> bytes:
    """Encode all that goes over the stream; its end follows."""
    return write_preface(CREDENTIAL) + encode_credential(credential)


class HandoverReader:
    """Collect what follows the preface of a handover."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes. Raises ProtocolViolation for more than a credential can have."""
        if len(self._buffer) + len(data) > MAX_CREDENTIAL_BYTES:
            raise ProtocolViolation(StreamCode.MALFORMED, "credential too long")
        self._buffer += data

    def finish(self) -> Credential:
        """Decode the credential at the stream's end. Raises ProtocolViolation."""
        try:
            return decode_credential(self._buffer)
        except SecurityFileError as error:
            raise ProtocolViolation(StreamCode.MALFORMED, error.cause) from None
        finally:
            wipe(self._buffer)
