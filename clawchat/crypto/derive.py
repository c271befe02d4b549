"""Derive keys into memory that can be overwritten, and overwrite it."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SHA256 = SHA256()


def derive(salt: bytes, secret: bytes | bytearray, info: bytes, length: int) -> bytearray:
    """Derive ``length`` bytes by HKDF-SHA256 (RFC 5869), extract and expand.

    The result is a bytearray, since bytes can't be overwritten; hand it to ``wipe`` after its use.
    """
    key = bytearray(length)
    HKDF(_SHA256, length, salt, info).derive_into(secret, key)
    return key


def wipe(*keys: bytearray) -> None:
    """Overwrite keys with zeros."""
    for key in keys:
        key[:] = bytes(len(key))
