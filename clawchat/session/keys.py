"""The keys of one session, and the numbers they seal."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.header import HeaderMask
from clawchat.crypto.replay import ReplayWindow
from clawchat.values.limits import MAX_EPOCH_PACKETS, MAX_PACKET_NUMBER
from clawchat.values.limits_rotation import OLD_KEY_LIFE, REKEY_PACKETS
from clawchat.values.timers import NEVER

PACKET_NUMBER_BITS = 48


class SendKeys:
    """Seal what we send: the key of this epoch, the peer's cid and header key, the next number.

    Packet numbers run on for the whole session and never restart, so an ACK needs no epoch and a
    (key, number) pair can't come twice. ``number`` is the next one, the epoch in its upper 16 bits.
    ``worn_at`` is the number at which the key is due for replacement.
    """

    __slots__ = ("_end", "aead", "cid", "mask", "number", "worn_at")

    def __init__(self, aead: AESGCM, cid: bytes, mask: HeaderMask) -> None:
        self.cid = cid
        self.mask = mask
        self.number = 0
        self.turn(0, aead)

    def turn(self, epoch: int, aead: AESGCM) -> None:
        """Seal with the key of an epoch from the next packet on; the old one is let go of at once."""
        self.aead = aead
        self.number = epoch << PACKET_NUMBER_BITS | self.number & MAX_PACKET_NUMBER
        self._end = self.number + MAX_EPOCH_PACKETS
        self.worn_at = self.number + REKEY_PACKETS

    def forget(self) -> None:
        """Let go of the keys, which OpenSSL overwrites; nothing can be sealed any more."""
        for name in ("aead", "mask"):
            if hasattr(self, name):
                delattr(self, name)

    @property
    def epoch(self) -> int:
        """The epoch of the key in use."""
        return self.number >> PACKET_NUMBER_BITS

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
    """Open what we receive: the key of each epoch that is still alive, and the replay window.

    ``heard`` is the newest epoch of which a packet has opened.
    """

    __slots__ = ("_retired", "epochs", "heard", "replay")

    def __init__(self, aead: AESGCM) -> None:
        self.epochs: dict[int, AESGCM] = {0: aead}
        self.replay = ReplayWindow()
        self.heard = 0
        self._retired: list[tuple[float, int]] = []

    def expect(self, epoch: int, aead: AESGCM) -> None:
        """Open packets of a new epoch as well from now on."""
        self.epochs[epoch] = aead

    def on_heard(self, epoch: int, *, now: float) -> None:
        """Note that a packet of a new epoch opened: the keys before it live on for what comes late."""
        self._retired += [(now + OLD_KEY_LIFE, old) for old in self.epochs if self.heard <= old < epoch]
        self.heard = epoch

    def forget(self) -> None:
        """Let go of every key, which OpenSSL overwrites."""
        self.epochs.clear()
        self._retired.clear()

    @property
    def deadline(self) -> float:
        """Return when the next old key ends."""
        return self._retired[0][0] if self._retired else NEVER

    def expire(self, *, now: float) -> None:
        """Let go of the keys whose time is over."""
        while self._retired and self._retired[0][0] <= now:
            self.epochs.pop(self._retired.pop(0)[1], None)
