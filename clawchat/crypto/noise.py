"""Noise_NKpsk0_25519_AESGCM_SHA256 (The Noise Protocol Framework, revision 34).

The client knows the server's public key and a shared key (psk) in advance, both from its credential::

    <- s
    -> psk, e, es   HELLO
    <- e, ee        WELCOME

Each message is an ephemeral public key (32 bytes) and the sealed payload (16 bytes longer than the payload).
The shared key lets the server stay silent to everybody else; the server's key keeps a thief of the shared key
from posing as the server.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clawchat.crypto.derive import derive, wipe
from clawchat.crypto.keylog import KeyLog, noise_line
from clawchat.values.errors import BadDatagram, UsageError
from clawchat.values.limits import TAG

NAME: Final = b"Noise_NKpsk0_25519_AESGCM_SHA256"
KEY_BYTES: Final = 32
"""An X25519 key, an AES-256 key and a SHA-256 hash are 32 bytes each."""
NONCE_BYTES: Final = 12
OVERHEAD: Final = KEY_BYTES + TAG
"""What a message is longer than its payload."""


class Secrets(NamedTuple):
    """What a handshake yields: two data keys, the root of later epochs, and the hash both ends share."""

    send: bytearray
    receive: bytearray
    root: bytearray
    handshake_hash: bytes


class SymmetricState:
    """The transcript hash, the chaining key and the cipher key of a handshake (Noise, section 5.2)."""

    __slots__ = ("_chaining_key", "_nonce", "handshake_hash", "key")

    def __init__(
        self, handshake_hash: bytes, chaining_key: bytes, key: bytearray | None = None, nonce: int = 0
    ) -> None:
        self.handshake_hash = handshake_hash
        self._chaining_key = chaining_key
        self.key = key
        self._nonce = nonce

    @classmethod
    def begin(cls, name: bytes, prologue: bytes) -> SymmetricState:
        """Return the state before the first message of a protocol of this name."""
        first = name.ljust(KEY_BYTES, b"\0") if len(name) <= KEY_BYTES else sha256(name).digest()
        state = cls(first, first)
        state.mix_hash(prologue)
        return state

    def fork(self) -> SymmetricState:
        """Return a copy to go on with, so that a message that fails to open changes nothing."""
        key = None if self.key is None else bytearray(self.key)
        return SymmetricState(self.handshake_hash, self._chaining_key, key, self._nonce)

    def mix_hash(self, data: bytes | bytearray) -> None:
        """Bind the transcript to ``data``."""
        self.handshake_hash = sha256(self.handshake_hash + data).digest()

    def mix_key(self, material: bytes | bytearray) -> None:
        """Make the keys depend on ``material``."""
        chained = derive(self._chaining_key, material, b"", 2 * KEY_BYTES)
        self._take(chained, chained[KEY_BYTES:])

    def mix_key_and_hash(self, material: bytes | bytearray) -> None:
        """Make the keys and the transcript depend on ``material``."""
        chained = derive(self._chaining_key, material, b"", 3 * KEY_BYTES)
        self.mix_hash(chained[KEY_BYTES : 2 * KEY_BYTES])
        self._take(chained, chained[2 * KEY_BYTES :])

    def mix_ephemeral(self, public: bytes) -> None:
        """Take an ephemeral key into the transcript and the keys, as patterns with a psk do (section 9.2)."""
        self.mix_hash(public)
        self.mix_key(public)

    def _take(self, chained: bytearray, key: bytearray) -> None:
        self._chaining_key = bytes(chained[:KEY_BYTES])
        wipe(chained, self.key or bytearray())
        self.key = key
        self._nonce = 0

    def encrypt_and_hash(self, plaintext: bytes | bytearray) -> bytes:
        """Seal ``plaintext`` at this place of the transcript; before there is a key, pass it on."""
        sealed = bytes(plaintext) if self.key is None else self._seal(self.key, plaintext)
        self.mix_hash(sealed)
        return sealed

    def decrypt_and_hash(self, sealed: bytes) -> bytearray:
        """Open what was sealed at this place of the transcript. Raises BadDatagram."""
        plaintext = bytearray(sealed) if self.key is None else self._open(self.key, sealed)
        self.mix_hash(sealed)
        return plaintext

    def _seal(self, key: bytearray, plaintext: bytes | bytearray) -> bytes:
        return AESGCM(key).encrypt(self._next_nonce(), plaintext, self.handshake_hash)

    def _open(self, key: bytearray, sealed: bytes) -> bytearray:
        plaintext = bytearray(max(len(sealed) - TAG, 0))
        try:
            AESGCM(key).decrypt_into(self._next_nonce(), sealed, self.handshake_hash, plaintext)
        except (InvalidTag, ValueError):
            raise BadDatagram("noise") from None
        return plaintext

    def _next_nonce(self) -> bytes:
        nonce = self._nonce.to_bytes(NONCE_BYTES, "big")
        self._nonce += 1
        return nonce

    def split(self) -> tuple[bytearray, bytearray, bytearray]:
        """Return the initiator's sending key, the responder's, and a root key: three outputs of one HKDF."""
        keys = derive(self._chaining_key, b"", b"", 3 * KEY_BYTES)
        parts = keys[:KEY_BYTES], keys[KEY_BYTES : 2 * KEY_BYTES], keys[2 * KEY_BYTES :]
        wipe(keys)
        return parts


def exchange(private: X25519PrivateKey, public: bytes) -> bytes:
    """Return the X25519 shared secret. Raises BadDatagram for a key of wrong length or small order."""
    try:
        return private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise BadDatagram("noise") from None


class Initiator:
    """The client's side: ``write_hello``, ``read_welcome``, ``finish``.

    ``ephemeral`` is a fresh private key; it must serve one handshake only. ``keylog`` gets the line that opens
    each payload.
    """

    __slots__ = ("_complete", "_ephemeral", "_keylog", "_psk", "_server_key", "_state")

    def __init__(
        self,
        prologue: bytes,
        psk: bytes | bytearray,
        server_key: bytes,
        ephemeral: bytes,
        keylog: KeyLog | None = None,
    ) -> None:
        self._state = SymmetricState.begin(NAME, prologue)
        self._state.mix_hash(server_key)
        self._psk = psk
        self._server_key = server_key
        self._ephemeral = X25519PrivateKey.from_private_bytes(ephemeral)
        self._keylog = keylog
        self._complete = False

    def write_hello(self, payload: bytes | bytearray) -> bytes:
        """Return the first message; to be called once. Raises UsageError for a server key of small order."""
        state = self._state
        public = self._ephemeral.public_key().public_bytes_raw()
        state.mix_key_and_hash(self._psk)
        state.mix_ephemeral(public)
        try:
            state.mix_key(exchange(self._ephemeral, self._server_key))
        except BadDatagram:
            raise UsageError("the server's key is no X25519 key") from None
        _log(self._keylog, _line(self._keylog, "hello", public, state))
        return public + state.encrypt_and_hash(payload)

    def read_welcome(self, message: bytes) -> bytearray:
        """Open the answer. Raises BadDatagram, and then nothing has changed."""
        state = self._state.fork()
        public = message[:KEY_BYTES]
        state.mix_ephemeral(public)
        state.mix_key(exchange(self._ephemeral, public))
        line = _line(self._keylog, "welcome", public, state)
        payload = state.decrypt_and_hash(message[KEY_BYTES:])
        _log(self._keylog, line)
        self._state = state
        self._complete = True
        return payload

    def finish(self) -> Secrets:
        """Return the secrets of the session, from the client's view."""
        if not self._complete:
            raise UsageError("no welcome was read")
        send, receive, root = self._state.split()
        return Secrets(send, receive, root, self._state.handshake_hash)


class Responder:
    """The server's side: ``read_hello``, ``write_welcome``, ``finish``."""

    __slots__ = ("_complete", "_keylog", "_private", "_psk", "_remote_ephemeral", "_state")

    def __init__(
        self, prologue: bytes, psk: bytes | bytearray, private: X25519PrivateKey, keylog: KeyLog | None = None
    ) -> None:
        self._state = SymmetricState.begin(NAME, prologue)
        self._state.mix_hash(private.public_key().public_bytes_raw())
        self._psk = psk
        self._private = private
        self._keylog = keylog
        self._remote_ephemeral = b""
        self._complete = False

    def read_hello(self, message: bytes) -> bytearray:
        """Open the first message. Raises BadDatagram, and then nothing has changed."""
        state = self._state.fork()
        public = message[:KEY_BYTES]
        state.mix_key_and_hash(self._psk)
        state.mix_ephemeral(public)
        state.mix_key(exchange(self._private, public))
        line = _line(self._keylog, "hello", public, state)
        payload = state.decrypt_and_hash(message[KEY_BYTES:])
        _log(self._keylog, line)
        self._state = state
        self._remote_ephemeral = public
        return payload

    def write_welcome(self, payload: bytes | bytearray, ephemeral: bytes) -> bytes:
        """Return the answer; ``ephemeral`` is a fresh private key; to be called once."""
        state = self._state
        private = X25519PrivateKey.from_private_bytes(ephemeral)
        public = private.public_key().public_bytes_raw()
        state.mix_ephemeral(public)
        state.mix_key(exchange(private, self._remote_ephemeral))
        _log(self._keylog, _line(self._keylog, "welcome", public, state))
        self._complete = True
        return public + state.encrypt_and_hash(payload)

    def finish(self) -> Secrets:
        """Return the secrets of the session, from the server's view."""
        if not self._complete:
            raise UsageError("no welcome was written")
        receive, send, root = self._state.split()
        return Secrets(send, receive, root, self._state.handshake_hash)


def _line(keylog: KeyLog | None, message: str, ephemeral: bytes, state: SymmetricState) -> str:
    # Reads what opens the next payload; it is logged once the payload proved authentic.
    return "" if keylog is None else noise_line(message, ephemeral, state.key or b"", state.handshake_hash)


def _log(keylog: KeyLog | None, line: str) -> None:
    if keylog is not None:
        keylog(line)
