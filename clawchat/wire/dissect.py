"""Open recorded datagrams with a key log, and account for every byte of them."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import EnvelopeKeys, KeyRing
from clawchat.crypto.noise import KEY_BYTES, NONCE_BYTES
from clawchat.values.errors import BadDatagram, ProtocolViolation
from clawchat.values.limits import BLOCK, HEADER_EPOCH_WELCOME, MIN_PACKET, TAG
from clawchat.wire.decoding import decode
from clawchat.wire.frames import Frame, encode
from clawchat.wire.handshake import LENGTH_BYTES, Hello, Welcome, decode_hello, decode_welcome, unseal
from clawchat.wire.packet import CID_BYTES
from clawchat.wire.packet import unseal as unseal_packet

_EPOCH: Final = slice(CID_BYTES, CID_BYTES + 2)
_PACKET_NUMBER: Final = slice(CID_BYTES + 2, BLOCK)


class Kind(Enum):
    """What a datagram is."""

    HELLO = "HELLO"
    WELCOME = "WELCOME"
    DATA = "DATA"


class Span(NamedTuple):
    """What the bytes from ``start`` up to ``stop`` are."""

    start: int
    stop: int
    what: str


class Dissection(NamedTuple):
    """An opened datagram; the spans follow each other from its first byte to its last."""

    kind: Kind
    header: bytes
    """The header block, unmasked."""
    contents: Hello | Welcome | tuple[Frame, ...]
    spans: tuple[Span, ...]

    @property
    def name(self) -> bytes:
        """The slot id of a HELLO; the receiver's cid of all others."""
        return self.header[:CID_BYTES]

    @property
    def epoch(self) -> int:
        """The epoch of a DATA packet."""
        return int.from_bytes(self.header[_EPOCH], "big")

    @property
    def packet_number(self) -> int:
        """The packet number of a DATA packet."""
        return int.from_bytes(self.header[_PACKET_NUMBER], "big")


class Dissector:
    """Open any datagram of a run whose keys were logged."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._headers = {key: HeaderCipher(key) for key in ring.header_keys}
        self._data = {name: AESGCM(keys.key) for name, keys in ring.data.items()}

    def dissect(self, datagram: bytes) -> Dissection:
        """Open a datagram. Raises BadDatagram if no key opens it or anything in it has no meaning."""
        if len(datagram) < MIN_PACKET:
            raise BadDatagram("length")
        for key, header in self._headers.items():
            plain = header.unmask(datagram[:BLOCK])
            name, epoch = plain[:CID_BYTES], int.from_bytes(plain[_EPOCH], "big")
            hello, welcome, data = self._ring.hello.get(name), self._ring.welcome.get(name), (name, epoch)
            if hello and hello.header_key == key:
                return self._handshake(Kind.HELLO, plain, datagram, hello)
            if welcome and welcome.header_key == key and epoch == HEADER_EPOCH_WELCOME:
                return self._handshake(Kind.WELCOME, plain, datagram, welcome)
            if data in self._data and self._ring.data[data].header_key == key:
                return _packet(plain, datagram, self._data[data])
        raise BadDatagram("header")

    def _handshake(self, kind: Kind, plain: bytes, datagram: bytes, keys: EnvelopeKeys) -> Dissection:
        message = unseal(datagram, keys.key)
        noise = self._ring.noise.get(message[:KEY_BYTES])
        if noise is None:
            raise BadDatagram("noise")
        try:
            payload = AESGCM(noise.key).decrypt(bytes(NONCE_BYTES), message[KEY_BYTES:], noise.transcript)
        except InvalidTag:
            raise BadDatagram("noise") from None
        sizes = [
            (BLOCK, "header"),
            (LENGTH_BYTES, "length"),
            (KEY_BYTES, "ephemeral key"),
            (len(payload), f"{kind.value} payload"),
            (TAG, "Noise tag"),
            (len(datagram) - BLOCK - LENGTH_BYTES - len(message) - TAG, "zeros"),
            (TAG, "tag"),
        ]
        contents: Hello | Welcome
        contents = decode_hello(memoryview(payload)) if kind is Kind.HELLO else decode_welcome(memoryview(payload))
        return Dissection(kind, plain, contents, _spans(sizes))


def _packet(plain: bytes, datagram: bytes, aead: AESGCM) -> Dissection:
    body = unseal_packet(aead, plain, datagram)
    try:
        frames = tuple(decode(body))
    except ProtocolViolation as violation:
        raise BadDatagram(violation.reason) from None
    encoded = [encode(frame) for frame in frames]
    if b"".join(encoded) != body:  # a byte that no frame accounts for, or one spelt in another way than ours
        raise BadDatagram("frames")
    inside = [(len(data), type(frame).__name__) for data, frame in zip(encoded, frames, strict=True)]
    return Dissection(Kind.DATA, plain, frames, _spans([(BLOCK, "header"), *inside, (TAG, "tag")]))


def _spans(sizes: list[tuple[int, str]]) -> tuple[Span, ...]:
    spans: list[Span] = []
    at = 0
    for size, what in sizes:
        if size:
            spans.append(Span(at, at + size, what))
        at += size
    return tuple(spans)
