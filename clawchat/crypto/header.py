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


class HeaderCipher:
    """Mask and unmask header blocks under one key, one at a time or many in one call.

    Blocks are independent of each other (ECB): a block repeats only if its plain text does, and that holds a
    packet number or random bytes.
    """

    __slots__ = ("mask", "mask_into", "unmask", "unmask_into")

    def __init__(self, key: bytes | bytearray) -> None:
        own = bytearray(key)
        cipher = Cipher(algorithms.AES256(own), modes.ECB())  # noqa: S305 - a block permutation is what is wanted
        encryptor, decryptor = cipher.encryptor(), cipher.decryptor()
        wipe(own)
        self.mask = encryptor.update
        """Mask n blocks of 16 bytes."""
        self.unmask = decryptor.update
        """Unmask n blocks of 16 bytes."""
        self.mask_into = encryptor.update_into
        """Mask n blocks into a buffer of 16 * n + SPARE_BYTES bytes."""
        self.unmask_into = decryptor.update_into
        """Unmask n blocks into a buffer of 16 * n + SPARE_BYTES bytes."""
