"""A log at rest, sealed record by record, so that what was added last survives the death of its writer.

::

    u32 length | envelope: 32 bytes of key under the bootstrap key (``crypto.envelope``)
    u32 length | AES-256-GCM( key, nonce = u96 index, JSON object | spaces )          for each record, index from 0

Each writing of the whole log has a key of its own, and no log is ever continued by another program than the one
that began it, so no nonce comes twice. A record is padded to a multiple of 64 bytes. Records can't be changed,
moved or taken out of the middle unnoticed; that the end is missing can't be told from a log that ended there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.derive import wipe
from clawchat.crypto.envelope import seal, unseal
from clawchat.crypto.noise import KEY_BYTES, NONCE_BYTES
from clawchat.values.errors import SecurityFileError

Record = dict[str, Any]

LENGTH_BYTES: Final = 4
STEP_BYTES: Final = 64
"""Records are padded to a multiple of this, so that their lengths say little about what was said."""

MAX_ENVELOPE_BYTES: Final = 4096
MAX_RECORD_BYTES: Final = 64 * 1024


class SealedLog:
    """Write one log: ``head`` comes first, then whatever ``add`` returns, in that order."""

    def __init__(self, bootstrap: Bootstrap, *, form: str, random: Callable[[int], bytes]) -> None:
        key = bytearray(random(KEY_BYTES))
        body = bytearray(key.hex().encode().join((b'"', b'"')))
        self.head = _framed(seal(body, bootstrap, form=form, random=random))
        """The bytes the log begins with."""
        self._aead = AESGCM(key)
        self._index = 0
        wipe(key, body)

    def add(self, records: Iterable[Record]) -> bytes:
        """Return the bytes of further records."""
        out = bytearray()
        for record in records:
            body = json.dumps(record, separators=(",", ":")).encode()
            body += b" " * (-len(body) % STEP_BYTES)
            out += _framed(self._aead.encrypt(self._index.to_bytes(NONCE_BYTES, "big"), body, None))
            self._index += 1
        return bytes(out)


def read_log(data: bytes, bootstrap: Bootstrap, *, form: str) -> list[Record]:
    """Return the records of a log; a last one that was not written whole is left out.

    Raises SecurityFileError: CC-FILE-FORMAT when it is damaged, CC-PASSPHRASE for another bootstrap key.
    """
    envelope, rest = _cut(memoryview(data), MAX_ENVELOPE_BYTES)
    if envelope is None:
        raise SecurityFileError("CC-FILE-FORMAT", "the log has no beginning")
    body = unseal(bytes(envelope), bootstrap, form=form, limit=MAX_ENVELOPE_BYTES)
    try:
        key = bytearray.fromhex(json.loads(body))
        aead = AESGCM(key)
    except (ValueError, TypeError):
        raise SecurityFileError("CC-FILE-FORMAT", "the log's key is no key") from None
    finally:
        wipe(body)
    wipe(key)
    found: list[Record] = []
    while rest:
        record, rest = _cut(rest, MAX_RECORD_BYTES)
        if record is None:
            return found
        found.append(_open(aead, len(found), record))
    return found


def _open(aead: AESGCM, index: int, record: memoryview) -> Record:
    try:
        value = json.loads(aead.decrypt(index.to_bytes(NONCE_BYTES, "big"), record, None))
    except (InvalidTag, ValueError):
        value = None
    if not isinstance(value, dict):
        raise SecurityFileError("CC-FILE-FORMAT", f"record {index} of the log was damaged or changed")
    return value


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH_BYTES, "big") + data


def _cut(data: memoryview, limit: int) -> tuple[memoryview | None, memoryview]:
    """Take one framed part off; None when it is not there whole. Raises SecurityFileError for one that can't be."""
    length = int.from_bytes(data[:LENGTH_BYTES], "big")
    end = LENGTH_BYTES + length
    if len(data) >= LENGTH_BYTES and length > limit:
        raise SecurityFileError("CC-FILE-FORMAT", "the log was damaged or changed")
    if len(data) < max(end, LENGTH_BYTES):
        return None, data[len(data) :]
    return data[LENGTH_BYTES:end], data[end:]
