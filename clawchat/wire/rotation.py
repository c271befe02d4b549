"""What the frames of rotation say: new keys, a new port, and the end of everything (layouts stand in ``frames``)."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from clawchat.values.address import Address


class Rekey1(NamedTuple):
    """The client offers its half of the keys of an epoch: a fresh X25519 public key."""

    epoch: int
    public: bytes


class Rekey2(NamedTuple):
    """The server gives the other half: from now on it opens packets of the epoch."""

    epoch: int
    public: bytes


class RekeyPlease(NamedTuple):
    """The server asks the client to begin this epoch."""

    epoch: int


class MovePort(NamedTuple):
    """The sender opens another port, at one of these addresses, and keeps the old one for ``grace`` seconds.

    ``generation`` grows with every move of one end, so that a late copy of an earlier one is known as such.
    """

    generation: int
    grace: int
    addresses: tuple[Address, ...]


class Scope(IntEnum):
    """What a COMPROMISED takes with it."""

    SESSION = 0
    """The session and what brings its client back."""
    ALL = 1
    """Everything the server has given to anybody."""


class Compromised(NamedTuple):
    """Every key is to be destroyed at once, and nothing answered."""

    scope: Scope
