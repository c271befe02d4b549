"""Header blocks: one AES-256 block in front of every datagram.

The block holds what a receiver needs to find the session (the layouts stand in ``clawchat.wire``). Since no
block is ever sent twice, its cipher text can't be told from random bytes.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from clawchat.crypto.derive import wipe
from clawchat.values.limits import BLOCK

SPARE_BYTES: Final = BLOCK - 1
"""``mask_into`` and ``unmask_into`` need this much room behind the result (a rule of ``cryptography``)."""


class HeaderMask:
    """Mask header blocks under one key, one at a time or many in one call: what a sender needs.

    Blocks are independent of each other (ECB): a block repeats only if its plain text does, and that holds a
    packet number or random bytes.
    """

    __slots__ = ("mask", "mask_into")

    def __init__(self, key: bytes | bytearray) -> None:
        own = bytearray(key)
        encryptor = _cipher(own).encryptor()
        wipe(own)
        self.mask = encryptor.update
        """Mask n blocks of 16 bytes."""
        self.mask_into = encryptor.update_into
        """Mask n blocks into a buffer of 16 * n + SPARE_BYTES bytes."""

    def forget(self) -> None:
        """Let go of the key, which OpenSSL overwrites; nothing can be masked any more."""
        del self.mask, self.mask_into


class HeaderCipher(HeaderMask):
    """Mask and unmask header blocks under one key: what a receiver needs."""

    __slots__ = ("unmask", "unmask_into")

    def __init__(self, key: bytes | bytearray) -> None:
        super().__init__(key)
        own = bytearray(key)
        decryptor = _cipher(own).decryptor()
        wipe(own)
        self.unmask = decryptor.update
        """Unmask n blocks of 16 bytes."""
        self.unmask_into = decryptor.update_into
        """Unmask n blocks into a buffer of 16 * n + SPARE_BYTES bytes."""

    def forget(self) -> None:
        """Let go of the key, which OpenSSL overwrites; nothing can be masked or unmasked any more."""
        super().forget()
        del self.unmask, self.unmask_into


def _cipher(key: bytearray) -> Cipher[modes.ECB]:
    return Cipher(algorithms.AES256(key), modes.ECB())  # noqa: S305 - a block permutation is what is wanted
