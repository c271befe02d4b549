"""The data keys of one direction in one epoch."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.derive import wipe

FIRST_EPOCH: Final = 0


class DirectionKeys:
    """The cipher of one direction in one epoch; takes the key over and overwrites it."""

    __slots__ = ("aead", "epoch")

    def __init__(self, key: bytearray, epoch: int = FIRST_EPOCH) -> None:
        self.aead = AESGCM(key)
        """Holds the only copy of the key, in memory that OpenSSL overwrites when it is released."""
        self.epoch = epoch
        wipe(key)
