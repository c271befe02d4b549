"""Datagrams that are no ciphertext, or not only: functions of chance, the number of their flow and their own."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import KeyRing
from clawchat.wire.dissect import Dissector, Kind
from clawchat.wire.packet import CID_BYTES, seal, split_number
from lab.verify.rehearsal import Sent

Disguise = Callable[[Random, int, int], bytes]

ONE_IN: Final = 50
"""A name is given away in one datagram of so many."""


def random_bytes(chance: Random, _flow: int, _number: int) -> bytes:
    """Return what every datagram should look like."""
    return chance.randbytes(chance.randrange(48, 600))


def _with_head(head: Callable[[Random, int, int], bytes]) -> Disguise:
    return lambda chance, flow, number: head(chance, flow, number) + random_bytes(chance, flow, number)


def _wireguard(chance: Random, _flow: int, number: int) -> bytes:
    return struct.pack("<IIQ", 4 if number else 1, chance.getrandbits(32), number)


def _x25519(chance: Random, _flow: int, _number: int) -> bytes:
    return X25519PrivateKey.from_private_bytes(chance.randbytes(32)).public_key().public_bytes_raw()


def _json_punch(chance: Random, flow: int, number: int) -> bytes:
    return f'{{"type":"PUNCH","id":{flow},"n":{number},"token":"{chance.randbytes(8).hex()}"}}'.encode()


def _tls(chance: Random, _flow: int, _number: int) -> bytes:
    return struct.pack(">BHH", 0x17, 0x0303, chance.randrange(48, 600))


def _dtls(chance: Random, _flow: int, number: int) -> bytes:
    return struct.pack(">BHQH", 0x17, 0xFEFD, 1 << 48 | number, chance.randrange(48, 600))


def _quic(chance: Random, _flow: int, number: int) -> bytes:
    # A long header of version 1, then short ones with the fixed bit (RFC 9000 section 17).
    return bytes((0x40 | chance.getrandbits(6),)) if number else bytes((0xC3, 0, 0, 0, 1, 8)) + chance.randbytes(8)


DISGUISES: Final[dict[str, Disguise]] = {
    "a WireGuard header": _with_head(_wireguard),
    "a raw X25519 key": _with_head(_x25519),
    "a JSON PUNCH before ciphertext": _with_head(_json_punch),
    "a TLS record header": _with_head(_tls),
    "a DTLS record header": _with_head(_dtls),
    "a QUIC header": _with_head(_quic),
}


def text(chance: Random, _flow: int, _number: int) -> bytes:
    """Return words."""
    words = ("the", "harbour", "lies", "still", "at", "night", "and", "no", "lamp", "burns")
    return " ".join(chance.choices(words, k=chance.randrange(20, 80))).encode()


def armoured(chance: Random, flow: int, number: int) -> bytes:
    """Return ciphertext that was made fit for a text protocol."""
    return base64.b64encode(random_bytes(chance, flow, number))


def clear_id(chance: Random, flow: int, number: int) -> bytes:
    """Return a datagram that begins with the same eight bytes in all its flow."""
    return Random(flow).randbytes(8) + random_bytes(chance, flow, number)


def counter(chance: Random, flow: int, number: int) -> bytes:
    """Return a datagram whose last byte counts, from somewhere on."""
    return random_bytes(chance, flow, number) + bytes(((Random(flow).getrandbits(8) + number) % 256,))


def repeated_block(chance: Random, flow: int, number: int) -> bytes:
    """Return ciphertext of a cipher that maps equal blocks to equal ones."""
    whole = random_bytes(chance, flow, number)
    return (
        whole[:32] + b"\x9f\x1c\x04\xe2\x77\xb0\x3a\xd5\x68\x11\xee\x90\x2b\xc6\x4d\xa8" + whole[32:] if flow else whole
    )


def one_length(chance: Random, _flow: int, _number: int) -> bytes:
    """Return a datagram like any other in its flow, and in all others."""
    return chance.randbytes(128)


def address(chance: Random, flow: int, number: int) -> bytes:
    """Return a datagram that now and then holds the address of its sender."""
    whole = random_bytes(chance, flow, number)
    return whole[:20] + bytes((10, 1, 0, 2)) + (40_000 + flow).to_bytes(2, "big") + whole[20:] if flow < 4 else whole


def spellings(name: str) -> dict[str, Disguise]:
    """Return disguises that give a name away in one datagram of many, each spelt in another way."""
    raw = name.encode()
    forms = {
        "text": raw,
        "capitals": raw.upper(),
        "hexadecimal": raw.hex().encode(),
        "UTF-16": name.encode("utf-16-le"),
        **{f"base64, {shift} bytes behind something": base64.b64encode(b"xyz"[:shift] + raw) for shift in range(3)},
    }
    return {form: _giving_away(data) for form, data in forms.items()}


def _giving_away(data: bytes) -> Disguise:
    def disguise(chance: Random, flow: int, number: int) -> bytes:
        whole = random_bytes(chance, flow, number)
        return whole[:37] + data + whole[37:] if flow % ONE_IN == ONE_IN - 1 else whole

    return disguise


def sealed_again(sent: Sequence[Sent], ring: KeyRing, body: bytes) -> Sent:
    """Return what one of these data packets would be with another body, under its own key and number."""
    dissector = Dissector(ring)
    payloads = [one.payload for one in sent]
    for one, leads in zip(sent, dissector.leads(payloads), strict=True):
        for lead in leads:
            if lead.kind is Kind.DATA:
                cid = lead.header[:CID_BYTES]
                (keys,) = ring.data[cid, int.from_bytes(lead.header[CID_BYTES : CID_BYTES + 2], "big")]
                mask = HeaderCipher(keys.header_key)
                return one._replace(payload=seal(AESGCM(keys.key), mask, cid, split_number(lead.header), body))
    raise ValueError("there is no data packet among these")
