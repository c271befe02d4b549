"""A relay's credential as one line of text, short enough to stand in other security files.

base64url, without its filling, of ``version u8 | secret[32] | server key[32] | slot id[8] | header key[32] |
timestamp u64 | valid until u64 | name length u8, name | count u8, addresses``, and in version 2, where the relay takes
WebSockets, ``length u8, URL``. A relay has no relays of its own.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from clawchat.crypto.credential import KEY_BYTES, SLOT_ID_BYTES, Credential, check_name
from clawchat.values.address import decode_address, encode_address
from clawchat.values.errors import BadDatagram, PersonalError, UsageError
from clawchat.values.limits import MAX_RELAY_CANDIDATES, MAX_RELAY_TEXT
from clawchat.values.websocket import check_websocket

VERSION: Final = 1
WITH_WEBSOCKET: Final = 2
_TIME_BYTES: Final = 8
_FIXED_BYTES: Final = 1 + KEY_BYTES + KEY_BYTES + SLOT_ID_BYTES + KEY_BYTES + 2 * _TIME_BYTES
_BLOCK: Final = 4


def write_relay(credential: Credential) -> str:
    """Write the credential of a relay as text. Raises UsageError if it is not one of a relay."""
    if credential.relays or not 1 <= len(credential.candidates) <= MAX_RELAY_CANDIDATES:
        raise UsageError(f"a relay has 1 to {MAX_RELAY_CANDIDATES} addresses, and no relays")
    name = credential.name.encode()
    parts: tuple[bytes | bytearray, ...] = (
        bytes((WITH_WEBSOCKET if credential.websocket else VERSION,)),
        credential.secret,
        credential.server_key,
        credential.slot_id,
        credential.hello_header_key,
        credential.timestamp.to_bytes(_TIME_BYTES, "big"),
        credential.valid_until.to_bytes(_TIME_BYTES, "big"),
        bytes((len(name),)),
        name,
        bytes((len(credential.candidates),)),
        *map(encode_address, credential.candidates),
        *((bytes((len(credential.websocket),)), credential.websocket.encode()) if credential.websocket else ()),
    )
    return urlsafe_b64encode(b"".join(parts)).decode().rstrip("=")


def read_relay(text: str) -> Credential:
    """Read what ``write_relay`` wrote, and nothing else. Raises UsageError."""
    data = _decode(text)
    if len(data) <= _FIXED_BYTES or data[0] not in {VERSION, WITH_WEBSOCKET}:
        raise UsageError("the relay is of another version")
    at = 1

    def take(count: int) -> bytes:
        nonlocal at
        at += count
        if at > len(data):
            raise UsageError("the relay is cut off")
        return data[at - count : at]

    secret, server_key, slot_id, header_key = (take(n) for n in (KEY_BYTES, KEY_BYTES, SLOT_ID_BYTES, KEY_BYTES))
    timestamp, valid_until = (int.from_bytes(take(_TIME_BYTES), "big") for _ in range(2))
    name = _read_name(take(take(1)[0]))
    candidates = []
    for _ in range(take(1)[0]):
        try:
            address, at = decode_address(data, at)
        except BadDatagram:
            raise UsageError("the relay has an address that can't be read") from None
        candidates.append(address)
    websocket = _read_websocket(take(take(1)[0])) if data[0] == WITH_WEBSOCKET else ""
    credential = Credential(
        secret=bytearray(secret),
        server_key=server_key,
        slot_id=slot_id,
        hello_header_key=bytearray(header_key),
        candidates=tuple(candidates),
        relays=(),
        timestamp=timestamp,
        valid_until=valid_until,
        name=name,
        websocket=websocket,
    )
    if write_relay(credential) != text:
        raise UsageError("the relay isn't written in its one form")
    return credential


def _decode(text: str) -> bytes:
    if len(text) > MAX_RELAY_TEXT or not text.isascii():
        raise UsageError(f"a relay is a text of up to {MAX_RELAY_TEXT} characters")
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % _BLOCK))
    except (binascii.Error, ValueError):
        raise UsageError("the relay isn't base64") from None


def _read_websocket(data: bytes) -> str:
    try:
        return check_websocket(data.decode("ascii"))
    except UnicodeDecodeError:
        raise UsageError("the relay has no URL that can be read") from None


def _read_name(data: bytes) -> str:
    try:
        return check_name(data.decode("ascii"))
    except (UnicodeDecodeError, PersonalError):
        raise UsageError("the relay has no name that can be shown") from None
