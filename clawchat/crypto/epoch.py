"""The data keys of one direction in one epoch, and how the keys of the next epoch come from the root key."""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.derive import derive, wipe
from clawchat.crypto.noise import KEY_BYTES, exchange

FIRST_EPOCH: Final = 0
REKEY_LABEL: Final = b"clawchat/3 rekey"


class DirectionKeys:
    """The cipher of one direction in one epoch; takes the key over and overwrites it."""

    __slots__ = ("aead", "epoch")

    def __init__(self, key: bytearray, epoch: int = FIRST_EPOCH) -> None:
        self.aead = AESGCM(key)
        """Holds the only copy of the key, in memory that OpenSSL overwrites when it is released."""
        self.epoch = epoch
        wipe(key)


class EpochSecrets(NamedTuple):
    """What an exchange of fresh keys yields: the root of the epoch after it, and a key for each direction."""

    root: bytearray
    client: bytearray
    """Seals what the client sends."""
    server: bytearray
    """Seals what the server sends."""


class Exchange(NamedTuple):
    """Which keys went into an epoch, as both ends saw them; they are bound into what comes out."""

    epoch: int
    client: bytes
    server: bytes
    handshake_hash: bytes


def next_epoch(root: bytearray, private: X25519PrivateKey, public: bytes, exchanged: Exchange) -> EpochSecrets:
    """Derive the secrets of the next epoch from the root key and a fresh X25519 exchange; overwrite the root.

    ``public`` is the peer's half. Raises BadDatagram if it is no X25519 key.
    """
    # both secrets are the input and none is the salt, which the library takes in bytes only: those can't be wiped
    material = root + exchange(private, public)
    info = b"".join((exchanged.epoch.to_bytes(2, "big"), exchanged.client, exchanged.server, exchanged.handshake_hash))
    derived = derive(REKEY_LABEL, material, info, 3 * KEY_BYTES)
    parts = EpochSecrets(derived[:KEY_BYTES], derived[KEY_BYTES : 2 * KEY_BYTES], derived[2 * KEY_BYTES :])
    wipe(material, derived, root)
    return parts
