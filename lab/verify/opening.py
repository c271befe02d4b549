"""Half one: with the key log every datagram opens, under exactly one key, and every byte of it is accounted for.

A datagram that is seen at several capture points, or sent to several places, is one datagram. What a relay carries
lies sealed inside what was opened, and is opened in turn where its keys are known.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from itertools import pairwise
from typing import Final, NamedTuple

from clawchat.crypto.keylog import KeyRing
from clawchat.crypto.noise import NONCE_BYTES
from clawchat.values.errors import BadDatagram
from clawchat.wire.dissect import Dissection, Dissector, Kind, Lead
from clawchat.wire.frames import Forward
from lab.verify.frames import Udp

MAX_DEPTH: Final = 4
"""How deep datagrams are looked for inside of others; a relay carries none of another relay's today."""


class Reason(StrEnum):
    """What is wrong with a datagram, or a pair of them."""

    CLOSED = "no logged key opens it"
    AMBIGUOUS = "several logged keys open it"
    UNACCOUNTED = "some of its bytes have no meaning"
    REPEATED = "its key and packet number have sealed something else, too"
    LENGTH = "all handshakes have one length"


class Failure(NamedTuple):
    """A datagram that speaks against the proof."""

    reason: Reason
    where: Udp | None
    """One place where it was seen; None for one that a relay carried."""
    payload: bytes
    detail: str = ""


class Opened(NamedTuple):
    """A datagram whose contents are known."""

    where: Udp | None
    payload: bytes
    dissection: Dissection


@dataclass(slots=True)
class Opening:
    """What became of all datagrams."""

    opened: list[Opened] = field(default_factory=list)
    carried: list[Opened] = field(default_factory=list)
    """What relays carried, opened as well."""
    carried_closed: int = 0
    """What relays carried between ends whose keys nobody logged."""
    closed: list[Udp] = field(default_factory=list)
    """What no key opened: perhaps it is none of ours."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def kinds(self) -> Counter[str]:
        """Count the opened datagrams by kind."""
        return Counter(one.dissection.kind.value for one in self.opened)

    @property
    def frames(self) -> Counter[str]:
        """Count the frames in them by type."""
        packets = (one.dissection for one in self.opened if one.dissection.kind is Kind.DATA)
        return Counter(type(frame).__name__ for packet in packets for frame in packet.contents)

    @property
    def ids(self) -> set[tuple[bytes, int]]:
        """Return the ids that data packets were for, each with its epochs."""
        found = (one.dissection for one in (*self.opened, *self.carried))
        return {(packet.name, packet.epoch) for packet in found if packet.kind is Kind.DATA}


Sealed = dict[tuple[bytes, bytes], bytes]
"""By key and nonce, the fingerprint of what was sealed with them."""

FINGERPRINT_BYTES: Final = 16


def open_all(udp: Iterable[Udp], ring: KeyRing, sealed: Sealed | None = None) -> Opening:
    """Open each datagram once. What stays closed is listed in the order of time, and not yet called a failure.

    ``sealed`` remembers what earlier parts of a long capture had.
    """
    places: dict[bytes, Udp | None] = {}
    for packet in udp:
        places.setdefault(packet.payload, packet)
    dissector = Dissector(ring)
    result = Opening()
    sealed = {} if sealed is None else sealed
    for depth in range(MAX_DEPTH):
        if not places:
            break
        opened = _level(dissector, places, result, sealed, carried=depth > 0)
        inside = (one.dissection.contents for one in opened if one.dissection.kind is Kind.DATA)
        places = {frame.data: None for frames in inside for frame in frames if isinstance(frame, Forward)}
    return result


def _level(
    dissector: Dissector,
    places: Mapping[bytes, Udp | None],
    result: Opening,
    sealed: Sealed,
    *,
    carried: bool,
) -> Sequence[Opened]:
    opened: list[Opened] = []
    for (payload, where), leads in zip(places.items(), dissector.leads(list(places)), strict=True):
        found, refused = _follow(dissector, leads, payload)
        if not found:
            if leads:
                result.failures.append(Failure(Reason.CLOSED, where, payload, refused))
            elif where is not None:
                result.closed.append(where)
            else:
                result.carried_closed += 1
            continue
        if len(found) > 1:
            result.failures.append(Failure(Reason.AMBIGUOUS, where, payload))
        lead, dissection = found[0]
        if not _accounted(dissection, payload):
            result.failures.append(Failure(Reason.UNACCOUNTED, where, payload))
        fingerprint = blake2b(payload, digest_size=FINGERPRINT_BYTES).digest()
        if sealed.setdefault((lead.key, _nonce(lead, payload)), fingerprint) != fingerprint:
            result.failures.append(Failure(Reason.REPEATED, where, payload))
        opened.append(Opened(where, payload, dissection))
    (result.carried if carried else result.opened).extend(opened)
    return opened


def _follow(dissector: Dissector, leads: Sequence[Lead], payload: bytes) -> tuple[list[tuple[Lead, Dissection]], str]:
    found, refused = [], ""
    for lead in leads:
        try:
            found.append((lead, dissector.follow(lead, payload)))
        except BadDatagram as error:
            refused = f"{lead.kind.value}: {error.reason}"
    return found, refused


def _accounted(dissection: Dissection, payload: bytes) -> bool:
    spans = dissection.spans
    joined = all(one.stop == following.start for one, following in pairwise(spans))
    return joined and spans[0].start == 0 and spans[-1].stop == len(payload)


def _nonce(lead: Lead, payload: bytes) -> bytes:
    """Return what must not come twice under one key: epoch and packet number, or the start of a masked header."""
    return lead.header if lead.kind is Kind.DATA else payload[:NONCE_BYTES]
