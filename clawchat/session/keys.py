"""The keys of one session, and the numbers they seal."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import HeaderMask
from clawchat.crypto.replay import ReplayWindow
from clawchat.values.limits import MAX_EPOCH_PACKETS

PACKET_NUMBER_BITS = 48


class SendKeys:
    """Seal what we send: the key of this epoch, the peer's cid and header key, the next number.

    Packet numbers run on for the whole session and never restart, so an ACK needs no epoch and a
    (key, number) pair can't come twice. ``number`` is the next one, the epoch in its upper 16 bits.
    """

    __slots__ = ("_end", "aead", "cid", "mask", "number")

    def __init__(self, aead: AESGCM, cid: bytes, mask: HeaderMask) -> None:
        self.aead = aead
        self.cid = cid
        self.mask = mask
        self.number = 0
        self._end = MAX_EPOCH_PACKETS

    @property
    def left(self) -> int:
        """How many packets this epoch's key may still seal."""
        return self._end - self.number

    def take(self, count: int) -> int:
        """Use up ``count`` numbers; return the first."""
        number = self.number
        self.number += count
        return number


class ReceiveKeys:
    """Open what we receive: the key of each epoch that is still alive, and the replay window."""

    __slots__ = ("epochs", "replay")

    def __init__(self, aead: AESGCM) -> None:
        self.epochs: dict[int, AESGCM] = {0: aead}
        self.replay = ReplayWindow()
