from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.derive import derive, wipe
from clawchat.crypto.epoch import FIRST_EPOCH, DirectionKeys


def test_the_published_vector() -> None:
    # RFC 5869, appendix A.1.
    key = derive(
        bytes.fromhex("000102030405060708090a0b0c"), bytes([0x0B]) * 22, bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42
    )
    assert key.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


def test_wiped_keys_are_zeros_in_place() -> None:
    key = derive(b"", b"secret", b"", 32)
    seen = memoryview(key)
    wipe(key)
    assert bytes(seen) == bytes(32)


def test_a_direction_takes_its_key_over() -> None:
    key = bytearray(range(32))
    keys = DirectionKeys(key)
    assert key == bytes(32)
    assert keys.epoch == FIRST_EPOCH
    assert keys.aead.decrypt(bytes(12), AESGCM(bytes(range(32))).encrypt(bytes(12), b"data", None), None) == b"data"
