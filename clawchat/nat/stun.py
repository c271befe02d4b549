"""STUN messages (RFC 8489): ask a server which address it sees us come from, and read what it answers.

    00 | type u16 (top bits 00) | length of all attributes u16 | magic 2112A442 | transaction 12 bytes |
    then attributes               type u16 | length u16 | value | 0 to 3 bytes of padding

A binding needs no key: an answer proves only that its sender saw the request, since its transaction is random.
So it is advice about ourselves and never anything to trust a peer by.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
import struct
from enum import Flag, IntEnum
from typing import Final, NamedTuple

from clawchat.values.address import MAX_PORT, Address
from clawchat.values.errors import BadDatagram, UsageError

HEADER_BYTES: Final = 20
TRANSACTION_BYTES: Final = 12
MAX_MESSAGE_BYTES: Final = 1500
"""No answer to a binding is longer than one Ethernet frame; ours ask for no padding."""

MAX_ATTRIBUTES: Final = 32
MAGIC: Final = 0x2112_A442
MAGIC_BYTES: Final = MAGIC.to_bytes(4, "big")
FINGERPRINT_XOR: Final = 0x5354_554E
"""RFC 8489 section 14.7: it tells a fingerprint from other checksums."""

BINDING_REQUEST: Final = 0x0001
BINDING_SUCCESS: Final = 0x0101
BINDING_ERROR: Final = 0x0111

DEFAULT_PORT: Final = 3478
"""RFC 8489 section 18.6."""

_SERVER: Final = re.compile(
    r"(?:stun:)?(?:(?P<name>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}))|\[(?P<ipv6>[0-9A-Fa-f:.]{2,45})\])(?::(?P<port>\d{1,5}))?"
)
_header = struct.Struct(">HHI12s")
_attribute = struct.Struct(">HH")
_change_request = struct.Struct(">HHI")
_family_port = struct.Struct(">xBH")


class Attribute(IntEnum):
    """The attributes we read or write (RFC 8489 section 18.3, RFC 5780 section 7)."""

    MAPPED_ADDRESS = 0x0001
    CHANGE_REQUEST = 0x0003
    ERROR_CODE = 0x0009
    XOR_MAPPED_ADDRESS = 0x0020
    FINGERPRINT = 0x8028
    RESPONSE_ORIGIN = 0x802B
    OTHER_ADDRESS = 0x802C


_IGNORED: Final = frozenset({0x0002, 0x0004, 0x0005, 0x0006, 0x0007, 0x0008, 0x000A, 0x000B, 0x0014, 0x0015, 0x001C,
                             0x0026, 0x0027})  # fmt: skip
"""Attributes we know and need not: of RFC 3489, of authentication, and of tests that we don't make."""

_FIRST_OPTIONAL: Final = 0x8000
"""Attributes below must be understood, or the answer means something else than we think (RFC 8489 section 14)."""

_ADDRESS_BYTES: Final = {0x01: 4, 0x02: 16}
_ERROR_CLASSES: Final = range(3, 7)
_MAX_REASON: Final = 128
UNKNOWN_ATTRIBUTE: Final = 420
"""RFC 8489 section 14.8; also what we say of an answer that we must not understand by halves."""


class Change(Flag):
    """Where a server is asked to answer from, other than where it was asked (RFC 5780 section 7.2)."""

    NOTHING = 0
    PORT = 2
    IP = 4


class Reply(NamedTuple):
    """What a server answered; ``error`` is 0, or the code with which it refused."""

    mapped: Address | None = None
    """Where it sees us."""

    origin: Address | None = None
    """Where it says that it answered from."""

    other: Address | None = None
    """Its other address and other port, for the tests of RFC 5780."""

    error: int = 0
    reason: str = ""


def parse_server(text: str) -> tuple[str, int]:
    """Read ``stun:HOST``, ``stun:HOST:PORT`` (RFC 7064) or the same without ``stun:``; return host and port.

    The host may be a name; an IPv6 address stands in brackets. Raises UsageError.
    """
    match = _SERVER.fullmatch(text)
    port = int(match["port"] or DEFAULT_PORT) if match is not None else 0
    if match is None or not 0 < port <= MAX_PORT:
        raise UsageError(f"not a STUN server: {text!r}; write HOST, HOST:PORT or [IPv6]:PORT")
    return match["name"] or match["ipv6"], port


def complaint(text: str) -> str | None:
    """Complain about a text that names no STUN server."""
    try:
        parse_server(text)
    except UsageError as error:
        return str(error)
    return None


def encode_request(transaction: bytes, change: Change = Change.NOTHING) -> bytes:
    """Encode a binding request: 20 bytes, or 28 with a change of the server's address asked for."""
    body = _change_request.pack(Attribute.CHANGE_REQUEST, 4, change.value) if change else b""
    return _header.pack(BINDING_REQUEST, len(body), MAGIC, transaction) + body


def transaction_of(data: bytes) -> bytes:
    """Return the transaction of an answer to a binding request, without reading the rest. Raises BadDatagram."""
    if not HEADER_BYTES <= len(data) <= MAX_MESSAGE_BYTES:
        raise BadDatagram("stun")
    kind, length, magic, transaction = _header.unpack_from(data)
    if (
        kind not in {BINDING_SUCCESS, BINDING_ERROR}
        or magic != MAGIC
        or length % 4
        or length + HEADER_BYTES != len(data)
    ):
        raise BadDatagram("stun")
    return bytes(transaction)


def decode_reply(data: bytes) -> Reply:
    """Decode an answer to a binding request. Raises BadDatagram.

    An answer with an attribute that must be understood and is not known reads as a refusal with error 420.
    """
    transaction = transaction_of(data)
    attributes = _attributes(data)
    unknown = [kind for kind in attributes if kind < _FIRST_OPTIONAL and kind not in _IGNORED and not _is_ours(kind)]
    if _header.unpack_from(data)[0] == BINDING_ERROR:
        return _refusal(attributes)
    if unknown:
        return Reply(error=UNKNOWN_ATTRIBUTE, reason=f"unknown attribute {unknown[0]:#06x}")
    mapped = _address(attributes.get(Attribute.XOR_MAPPED_ADDRESS), MAGIC_BYTES + transaction)
    mapped = mapped or _address(attributes.get(Attribute.MAPPED_ADDRESS))
    if mapped is None:
        raise BadDatagram("stun")
    return Reply(
        mapped, _address(attributes.get(Attribute.RESPONSE_ORIGIN)), _address(attributes.get(Attribute.OTHER_ADDRESS))
    )


def _is_ours(kind: int) -> bool:
    return kind in Attribute.__members__.values()


def _attributes(data: bytes) -> dict[int, bytes]:
    """Split a message into its attributes; of several alike the first counts (RFC 8489 section 14)."""
    found: dict[int, bytes] = {}
    at = HEADER_BYTES
    for _ in range(MAX_ATTRIBUTES):
        if at == len(data):
            return found
        kind, length = _attribute.unpack_from(data, at)  # there are four bytes, since all lengths are multiples of it
        value = data[at + 4 : at + 4 + length]
        end = at + 4 + length + -length % 4
        if end > len(data):
            raise BadDatagram("stun")
        if kind == Attribute.FINGERPRINT:
            _check_fingerprint(data, at, value)
            if end != len(data):
                raise BadDatagram("stun")
        found.setdefault(kind, value)
        at = end
    raise BadDatagram("stun")


def _check_fingerprint(data: bytes, at: int, value: bytes) -> None:
    """Refuse a message whose checksum is wrong: it is no STUN, or damaged."""
    if value != (binascii.crc32(data[:at]) ^ FINGERPRINT_XOR).to_bytes(4, "big"):
        raise BadDatagram("stun")


def _address(value: bytes | None, mask: bytes = bytes(16)) -> Address | None:
    """Decode an address: 0 u8 | family u8 | port u16 | address, masked from the port on. Raises BadDatagram."""
    if value is None:
        return None
    if len(value) < _family_port.size:
        raise BadDatagram("stun")
    family, port = _family_port.unpack_from(value)
    packed = value[_family_port.size :]
    if len(packed) != _ADDRESS_BYTES.get(family):
        raise BadDatagram("stun")
    port ^= int.from_bytes(mask[:2], "big")
    unmasked = ipaddress.ip_address(bytes(byte ^ key for byte, key in zip(packed, mask, strict=False)))
    address = Address.make(str(unmasked), port)
    host = ipaddress.ip_address(address.host)
    if not port or host.is_unspecified or host.is_multicast:
        raise BadDatagram("stun")
    return address


def _refusal(attributes: dict[int, bytes]) -> Reply:
    """Read an error: 0 u16 | 0 and class 3 to 6 in the lowest bits u8 | number 0 to 99 u8 | reason in UTF-8."""
    value = attributes.get(Attribute.ERROR_CODE, b"")
    if len(value) < 4 or value[2] & 7 not in _ERROR_CLASSES or value[3] > 99:  # noqa: PLR2004 - as in the docstring
        raise BadDatagram("stun")
    reason = value[4:].decode("utf-8", "replace")[:_MAX_REASON]
    return Reply(error=(value[2] & 7) * 100 + value[3], reason="".join(c if c.isprintable() else " " for c in reason))
