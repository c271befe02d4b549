"""Credentials: what a client needs to join once, and the keys that come from it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawchat.crypto.derive import derive, wipe
from clawchat.values.address import Address, encode_address
from clawchat.values.errors import PersonalError

PROTOCOL: Final = b"clawchat/3"
KEY_BYTES: Final = 32
SLOT_ID_BYTES: Final = 8
MAILBOX_BYTES: Final = 16
DOOR_BYTES: Final = 16

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """Return the name if it can stand in a file name and on a screen. Raises PersonalError (CC-NAME)."""
    if not _NAME.fullmatch(name):
        raise PersonalError("CC-NAME", f"{name[:80]!r} can't be used as a name")
    return name


class CredentialKeys(NamedTuple):
    """The keys both holders of a credential derive from its secret."""

    hello: bytearray
    """Seals HELLO datagrams."""
    welcome: bytearray
    """Seals WELCOME datagrams."""
    psk: bytearray
    """The shared key of the Noise handshake."""
    mailbox: bytearray
    """Names the meeting place at a relay (16 bytes)."""
    relay_secret: bytearray
    """Proves to the other end what a relay delivered."""
    door: bytearray
    """Names what a WebSocket asks a relay for (16 bytes); whoever asks for anything else is a stranger."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a security file holds: everything a client needs to find, know and join a server."""

    secret: bytearray = field(repr=False)
    """Known to both holders; 32 bytes."""
    server_key: bytes = field(repr=False)
    """The X25519 public key the server made for this credential."""
    slot_id: bytes
    """Tells the server which credential a HELLO belongs to; 8 random bytes."""
    hello_header_key: bytearray = field(repr=False)
    """Masks the headers of HELLO datagrams to this server; 32 bytes."""
    candidates: tuple[Address, ...]
    """Where the server may be reached, the best first."""
    relays: tuple[str, ...]
    """Relays that carry sealed datagrams while there is no direct path, as ``crypto.relay_text`` writes them."""
    timestamp: int
    """When it was made, in seconds since 1970."""
    valid_until: int
    """When it ends, in seconds since 1970; the server's own clock decides."""
    name: str
    """What the server calls itself."""
    websocket: str = ""
    """Where a relay takes WebSockets: a URL, without a host if it is each of ``candidates``; empty for nowhere."""

    def prologue(self) -> bytes:
        """Return what binds a handshake to every field of this credential.

        Each has its length in front, so that no two credentials hash the same bytes; these are never put together,
        since they hold secrets.
        """
        addresses = [encode_address(address) for address in self.candidates]
        fields: list[bytes | bytearray] = [
            self.secret,
            self.server_key,
            self.slot_id,
            self.hello_header_key,
            _joined(addresses),
            _joined([url.encode() for url in self.relays]),
            self.timestamp.to_bytes(8, "big"),
            self.valid_until.to_bytes(8, "big"),
            self.name.encode(),
        ]
        if self.websocket:
            fields.append(self.websocket.encode())
        digest = sha256()
        for part in fields:
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
        return PROTOCOL + digest.digest()

    def keys(self) -> CredentialKeys:
        """Derive the keys; each call makes new ones, which the caller wipes."""

        def key(purpose: bytes, length: int = KEY_BYTES) -> bytearray:
            return derive(PROTOCOL, self.secret, PROTOCOL + b" " + purpose, length)

        return CredentialKeys(
            hello=key(b"hello"),
            welcome=key(b"welcome"),
            psk=key(b"psk"),
            mailbox=key(b"mailbox", MAILBOX_BYTES),
            relay_secret=key(b"relay"),
            door=key(b"websocket", DOOR_BYTES),
        )

    def mailbox(self) -> bytes:
        """Return the name of the meeting place at a relay, which is no key."""
        return bytes(derive(PROTOCOL, self.secret, PROTOCOL + b" mailbox", MAILBOX_BYTES))

    def wipe(self) -> None:
        """Overwrite the secrets; the credential is useless afterwards."""
        wipe(self.secret, self.hello_header_key)


class Slot:
    """The server's side of a credential: one place for one client.

    A ``reusable`` slot isn't burnt by the first client that joins. A ``lasting`` one is burnt by its owner, once
    that client has the next.
    """

    __slots__ = ("credential", "keys", "lasting", "private", "prologue", "reusable")

    def __init__(self, credential: Credential, private: X25519PrivateKey, *, reusable: bool = False) -> None:
        self.credential = credential
        self.private = private
        self.reusable = reusable
        self.lasting = False
        self.keys = credential.keys()
        self.prologue = credential.prologue()

    def wipe(self) -> None:
        """Overwrite the secrets that are ours; the private key goes with the last reference to the slot."""
        self.credential.wipe()
        wipe(*self.keys)


def make_slot(  # noqa: PLR0913 - a credential has that many fields
    random: Callable[[int], bytes],
    *,
    name: str,
    hello_header_key: bytes | bytearray,
    candidates: Sequence[Address],
    relays: Sequence[str],
    timestamp: int,
    validity: int,
    reusable: bool = False,
    websocket: str = "",
) -> Slot:
    """Make a slot with a fresh credential that is valid for ``validity`` seconds from ``timestamp`` on.

    Raises PersonalError (CC-NAME).
    """
    private = X25519PrivateKey.from_private_bytes(random(KEY_BYTES))
    credential = Credential(
        secret=bytearray(random(KEY_BYTES)),
        server_key=private.public_key().public_bytes_raw(),
        slot_id=random(SLOT_ID_BYTES),
        hello_header_key=bytearray(hello_header_key),
        candidates=tuple(candidates),
        relays=tuple(relays),
        timestamp=timestamp,
        valid_until=timestamp + validity,
        name=check_name(name),
        websocket=websocket,
    )
    return Slot(credential, private, reusable=reusable)


def _joined(fields: Sequence[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(4, "big") + part for part in fields)
