"""HELLO and WELCOME: the two sealed messages that make a session, whatever carries them.

    HELLO     AES(hello header key, slot id 8 | random 8) = H 16 | GCM(hello key, …)    256 to 1200 bytes
    WELCOME   AES(client's header key, client's cid 8 | FFFF | random 6) = H 16 | GCM(welcome key, …)
    sealed    length u16 | Noise message | zeros          nonce = H[0:12], aad = H; the tag ends the message

    Noise payload of HELLO
              version u8 | flags u8 | cid 8 | header key 32 | count u8 | addresses | bucket u32 if flags & 1
    Noise payload of WELCOME
              version u8 | cid 8 | header key 32 | observed address | count u8 | addresses
              | max stream data u32 | max data u32 | max streams u16 | max datagram u16 | idle timeout u16

Each end says: address me as this cid under this header key. A WELCOME is never longer than its HELLO. Everything
that does not open and does not fit raises BadDatagram and changes nothing.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.credential import Credential, CredentialKeys, Slot
from clawchat.crypto.derive import wipe
from clawchat.crypto.header import HeaderMask
from clawchat.crypto.keylog import KeyLog, hello_line, welcome_line
from clawchat.crypto.noise import KEY_BYTES, NONCE_BYTES, OVERHEAD, Initiator, Responder
from clawchat.values.address import Address, decode_address, encode_address
from clawchat.values.errors import BadDatagram, UsageError
from clawchat.values.limits import (
    BLOCK,
    HEADER_EPOCH_WELCOME,
    MAX_HELLO,
    MAX_OBSERVED_CANDIDATES,
    MIN_HELLO,
    PROTOCOL_VERSION,
    TAG,
)
from clawchat.wire.packet import CID_BYTES

EPHEMERAL_BYTES: Final = KEY_BYTES
"""A Noise message begins with its ephemeral public key."""

LENGTH_BYTES: Final = 2
_LENGTH: Final = struct.Struct(">H")
_HELLO: Final = struct.Struct(f">BB{CID_BYTES}s")
_WELCOME: Final = struct.Struct(f">B{CID_BYTES}s")
_BUCKET: Final = struct.Struct(">I")
_PARAMETERS: Final = struct.Struct(">IIHHH")
_HAS_BUCKET: Final = 1
_ENVELOPE: Final = BLOCK + _LENGTH.size + OVERHEAD + TAG
"""What a datagram is longer than the Noise payload in it."""


class SessionParameters(NamedTuple):
    """What the server allows the client in a fresh session."""

    max_stream_data: int
    """Bytes that may be sent on a stream before more is granted."""
    max_data: int
    """Bytes that may be sent on all streams before more is granted."""
    max_streams: int
    """Streams the client may open at once."""
    max_datagram: int
    """The longest UDP payload the server takes."""
    idle_timeout: int
    """Seconds of silence after which the server forgets the session."""


class Hello(NamedTuple):
    """What a client says first."""

    cid: bytes
    """Names the session in packets to the client."""
    header_key: bytes | bytearray
    """Masks the headers of packets to the client."""
    candidates: tuple[Address, ...]
    """Where the client may be reached."""
    bucket: int | None = None
    """The ten minutes the HELLO was made in (seconds since 1970 // 600), for reusable slots only."""


class Welcome(NamedTuple):
    """What the server answers."""

    cid: bytes
    """Names the session in packets to the server."""
    header_key: bytes | bytearray
    """Masks the headers of packets to the server."""
    observed: Address
    """Where the HELLO came from, as the server sees it."""
    candidates: tuple[Address, ...]
    """Where the server may be reached."""
    parameters: SessionParameters


def seal_hello(  # noqa: PLR0913 - everything a HELLO is made of
    credential: Credential,
    keys: CredentialKeys,
    initiator: Initiator,
    hello: Hello,
    *,
    random: Callable[[int], bytes],
    size: int,
    keylog: KeyLog | None = None,
) -> bytes:
    """Seal a HELLO of ``size`` bytes (256 to 1200).

    Candidates that don't fit are left out, the last ones first.
    """
    if not MIN_HELLO <= size <= MAX_HELLO:
        raise UsageError(f"a HELLO can't have {size} bytes")
    flags = 0 if hello.bucket is None else _HAS_BUCKET
    head = bytearray(_HELLO.pack(PROTOCOL_VERSION, flags, hello.cid)) + hello.header_key
    tail = b"" if hello.bucket is None else _BUCKET.pack(hello.bucket)
    payload = _with_candidates(head, hello.candidates, tail, size)
    message = initiator.write_hello(payload)
    wipe(head, payload)
    plain = credential.slot_id + random(BLOCK - len(credential.slot_id))
    if keylog is not None:
        keylog(hello_line(credential.slot_id, credential.hello_header_key, keys.hello))
    return _seal(HeaderMask(credential.hello_header_key), plain, keys.hello, message, size)


def unseal_hello(datagram: bytes | memoryview, slot: Slot, *, keylog: KeyLog | None = None) -> bytes:
    """Open the outside of a HELLO to ``slot``; return the Noise message in it. Raises BadDatagram.

    This is cheap, and proves that the sender holds the credential or repeats one who does. The first 32 bytes of
    the result tell repeats apart; ``open_hello`` does the rest.
    """
    if not MIN_HELLO <= len(datagram) <= MAX_HELLO:
        raise BadDatagram("length")
    message = unseal(datagram, slot.keys.hello)
    if keylog is not None:
        keylog(hello_line(slot.credential.slot_id, slot.credential.hello_header_key, slot.keys.hello))
    return message


def open_hello(message: bytes, slot: Slot, *, keylog: KeyLog | None = None) -> tuple[Hello, Responder]:
    """Open the Noise message of a HELLO; return what it says and the responder to answer it with.

    Raises BadDatagram. Whether the bucket is a recent one is for the caller to judge.
    """
    responder = Responder(slot.prologue, slot.keys.psk, slot.private, keylog)
    payload = responder.read_hello(message)
    try:
        return decode_hello(memoryview(payload)), responder
    finally:
        wipe(payload)


def seal_welcome(  # noqa: PLR0913 - everything a WELCOME is made of
    keys: CredentialKeys,
    responder: Responder,
    hello: Hello,
    header: HeaderMask,
    welcome: Welcome,
    *,
    ephemeral: bytes,
    random: Callable[[int], bytes],
    size: int,
    keylog: KeyLog | None = None,
) -> bytes:
    """Seal a WELCOME of ``size`` bytes, which must not be more than its HELLO had.

    ``header`` masks under the client's header key; ``ephemeral`` is a fresh private key. Candidates that don't
    fit are left out, the last ones first.
    """
    if not MIN_HELLO <= size <= MAX_HELLO:
        raise UsageError(f"a WELCOME can't have {size} bytes")
    head = bytearray(_WELCOME.pack(PROTOCOL_VERSION, welcome.cid)) + welcome.header_key
    tail = _PARAMETERS.pack(*welcome.parameters)
    payload = _with_candidates(head, welcome.candidates, tail, size, middle=encode_address(welcome.observed))
    message = responder.write_welcome(payload, ephemeral)
    wipe(head, payload)
    marker = HEADER_EPOCH_WELCOME.to_bytes(2, "big")
    plain = hello.cid + marker + random(BLOCK - len(hello.cid) - len(marker))
    if keylog is not None:
        keylog(welcome_line(hello.cid, hello.header_key, keys.welcome))
    return _seal(header, plain, keys.welcome, message, size)


def open_welcome(
    datagram: bytes | memoryview,
    keys: CredentialKeys,
    initiator: Initiator,
    hello: Hello,
    *,
    keylog: KeyLog | None = None,
) -> Welcome:
    """Open the answer to ``hello``. Raises BadDatagram, and then ``initiator`` can go on waiting."""
    if not MIN_HELLO <= len(datagram) <= MAX_HELLO:
        raise BadDatagram("length")
    message = unseal(datagram, keys.welcome)
    payload = initiator.read_welcome(message)
    if keylog is not None:
        keylog(welcome_line(hello.cid, hello.header_key, keys.welcome))
    try:
        return decode_welcome(memoryview(payload))
    finally:
        wipe(payload)


def _seal(header: HeaderMask, plain: bytes, key: bytearray, message: bytes, size: int) -> bytes:
    block = header.mask(plain)
    body = (_LENGTH.pack(len(message)) + message).ljust(size - BLOCK - TAG, b"\0")
    return block + AESGCM(key).encrypt(block[:NONCE_BYTES], body, block)


def unseal(datagram: bytes | memoryview, key: bytes | bytearray) -> bytes:
    """Open the outside of a HELLO or WELCOME; return the Noise message in it. Raises BadDatagram."""
    block = bytes(datagram[:BLOCK])
    try:
        body = AESGCM(key).decrypt(block[:NONCE_BYTES], datagram[BLOCK:], block)
    except InvalidTag:
        raise BadDatagram("tag") from None
    end = _LENGTH.size + _LENGTH.unpack_from(body)[0]
    if not _LENGTH.size + OVERHEAD <= end <= len(body) or body[end:].strip(b"\0"):
        raise BadDatagram("envelope")
    return body[_LENGTH.size : end]


def _with_candidates(
    head: bytearray, candidates: tuple[Address, ...], tail: bytes, size: int, *, middle: bytes = b""
) -> bytearray:
    """Put a payload together in one piece of memory, which the caller wipes: it holds a header key."""
    room = size - _ENVELOPE - len(head) - len(middle) - 1 - len(tail)
    chosen: list[bytes] = []
    for encoded in map(encode_address, candidates[:MAX_OBSERVED_CANDIDATES]):
        room -= len(encoded)
        if room < 0:
            break
        chosen.append(encoded)
    return bytearray().join((head, middle, bytes((len(chosen),)), *chosen, tail))


def decode_hello(payload: memoryview) -> Hello:
    """Decode the Noise payload of a HELLO. Raises BadDatagram."""
    try:
        version, flags, cid = _HELLO.unpack_from(payload)
        if version != PROTOCOL_VERSION:
            raise BadDatagram("version")
        candidates, at = _decode_candidates(payload, _HELLO.size + KEY_BYTES)
        bucket = None
        if flags == _HAS_BUCKET:
            bucket = int(_BUCKET.unpack_from(payload, at)[0])
            at += _BUCKET.size
    except (struct.error, IndexError):
        raise BadDatagram("hello") from None
    if flags not in {0, _HAS_BUCKET} or at != len(payload):
        raise BadDatagram("hello")
    return Hello(cid, bytearray(payload[_HELLO.size : _HELLO.size + KEY_BYTES]), candidates, bucket)


def decode_welcome(payload: memoryview) -> Welcome:
    """Decode the Noise payload of a WELCOME. Raises BadDatagram."""
    try:
        version, cid = _WELCOME.unpack_from(payload)
        if version != PROTOCOL_VERSION:
            raise BadDatagram("version")
        observed, at = decode_address(payload, _WELCOME.size + KEY_BYTES)
        candidates, at = _decode_candidates(payload, at)
        parameters = SessionParameters(*_PARAMETERS.unpack_from(payload, at))
    except (struct.error, IndexError):
        raise BadDatagram("welcome") from None
    if at + _PARAMETERS.size != len(payload):
        raise BadDatagram("welcome")
    return Welcome(cid, bytearray(payload[_WELCOME.size : _WELCOME.size + KEY_BYTES]), observed, candidates, parameters)


def _decode_candidates(payload: memoryview, at: int) -> tuple[tuple[Address, ...], int]:
    count = payload[at]
    if count > MAX_OBSERVED_CANDIDATES:
        raise BadDatagram("candidates")
    at += 1
    addresses = []
    for _ in range(count):
        address, at = decode_address(payload, at)
        addresses.append(address)
    return tuple(addresses), at
