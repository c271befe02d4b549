"""The datagrams of a rival's end, as JSON: small, and readable in a capture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from clawchat.values.address import Address

ADDRESS_PARTS = 2


class Kind(StrEnum):
    """What a datagram says."""

    SEE = "see"
    """To a public host: tell me where I come from."""
    SEEN = "seen"
    JOIN = "join"
    """To the rendezvous: here I am, and so I can be reached."""
    GO = "go"
    """From the rendezvous: both ends are here, and so the other one can be reached."""
    PROBE = "probe"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Message:
    """One datagram; which fields mean something depends on its kind."""

    kind: Kind
    token: str = ""
    """Of a probe, and of the answer to it."""
    room: str = ""
    role: str = ""
    addresses: tuple[Address, ...] = ()
    changing: bool = False
    """JOIN and GO: this end's NAT, or the peer's, gives every destination another port."""


def encode(message: Message) -> bytes:
    """Return the datagram."""
    fields = {
        "kind": str(message.kind),
        "token": message.token,
        "room": message.room,
        "role": message.role,
        "addresses": [list(each) for each in message.addresses],
        "changing": message.changing,
    }
    return json.dumps({name: value for name, value in fields.items() if value}).encode()


def decode(data: bytes) -> Message | None:
    """Read a datagram; None if it is none of ours."""
    try:
        found = json.loads(data)
        return Message(
            Kind(found["kind"]),
            str(found.get("token", "")),
            str(found.get("room", "")),
            str(found.get("role", "")),
            _addresses(found.get("addresses", [])),
            bool(found.get("changing")),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _addresses(said: Sequence[Sequence[object]]) -> tuple[Address, ...]:
    pairs = [pair for pair in said if len(pair) == ADDRESS_PARTS]
    return tuple(Address(str(host), int(str(port))) for host, port in pairs)
