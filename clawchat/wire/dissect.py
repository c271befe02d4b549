"""Open recorded datagrams with a key log, and account for every byte of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from itertools import chain
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import KeyRing
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


class Lead(NamedTuple):
    """A logged key that the header of a datagram points to; whether it opens the rest is still to be seen."""

    kind: Kind
    header: bytes
    """The header block, unmasked."""
    key: bytes


class Dissector:
    """Open any datagram of a run whose keys were logged."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._headers = {key: HeaderCipher(key) for key in ring.header_keys}
        self._aeads: dict[bytes, AESGCM] = {}
        self._names: dict[bytes, set[bytes]] = {key: set() for key in self._headers}
        envelopes = chain(ring.hello.values(), ring.welcome.values())
        for header_key, name in chain(
            ((keys.header_key, keys.name) for keys in envelopes),
            ((keys.header_key, keys.cid) for keys in chain.from_iterable(ring.data.values())),
        ):
            self._names[header_key].add(name)

    def dissect(self, datagram: bytes) -> Dissection:
        """Open a datagram. Raises BadDatagram if no key opens it or anything in it has no meaning."""
        reason = BadDatagram("length" if len(datagram) < MIN_PACKET else "header")
        for lead in self.leads([datagram])[0]:
            try:
                return self.follow(lead, datagram)
            except BadDatagram as refused:
                reason = refused
        raise reason

    def leads(self, datagrams: Sequence[bytes]) -> list[list[Lead]]:
        """Return for each datagram all logged keys that its header points to.

        All headers are unmasked at once under each key, so that many datagrams under many keys are quickly sorted.
        """
        found: list[list[Lead]] = [[] for _ in datagrams]
        long_enough = [index for index, datagram in enumerate(datagrams) if len(datagram) >= MIN_PACKET]
        blocks = b"".join(bytes(datagrams[index][:BLOCK]) for index in long_enough)
        for header_key, cipher in self._headers.items():
            plain = cipher.unmask(blocks)
            for name in self._names[header_key]:
                at = plain.find(name)
                while at >= 0:
                    if at % BLOCK == 0:
                        found[long_enough[at // BLOCK]] += self._leads(header_key, plain[at : at + BLOCK])
                    at = plain.find(name, at + 1)
        return found

    def _leads(self, header_key: bytes, plain: bytes) -> Iterator[Lead]:
        name, epoch = plain[:CID_BYTES], int.from_bytes(plain[_EPOCH], "big")
        hello, welcome = self._ring.hello.get(name), self._ring.welcome.get(name)
        if hello and hello.header_key == header_key:
            yield Lead(Kind.HELLO, plain, hello.key)
        if welcome and welcome.header_key == header_key and epoch == HEADER_EPOCH_WELCOME:
            yield Lead(Kind.WELCOME, plain, welcome.key)
        for data in self._ring.data.get((name, epoch), ()):
            if data.header_key == header_key:
                yield Lead(Kind.DATA, plain, data.key)

    def follow(self, lead: Lead, datagram: bytes) -> Dissection:
        """Open a datagram under the key of a lead. Raises BadDatagram."""
        if lead.kind is not Kind.DATA:
            return self._handshake(lead.kind, lead.header, datagram, lead.key)
        aead = self._aeads.get(lead.key)
        if aead is None:
            aead = self._aeads[lead.key] = AESGCM(lead.key)
        return _packet(lead.header, datagram, aead)

    def _handshake(self, kind: Kind, plain: bytes, datagram: bytes, key: bytes) -> Dissection:
        message = unseal(datagram, key)
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
