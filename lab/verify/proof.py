"""Both halves of the proof, and the verdict on a capture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from clawchat.crypto.keylog import KeyRing
from clawchat.wire.dissect import Kind
from lab.verify.blind import Blind, examine
from lab.verify.canaries import Needle, Needles, of_addresses, of_keys
from lab.verify.frames import Class
from lab.verify.opening import Failure, Opening, Reason, open_all
from lab.verify.reading import Capture
from lab.verify.services import Service, service

SAME_LENGTHS: Final = 4
"""So many handshakes of one length are no coincidence: lengths are drawn from over four hundred."""

SPOILT: Final = frozenset({Class.FRAGMENT, Class.MALFORMED})
"""What can be UDP, and can't be opened."""


class Outcome(StrEnum):
    """What can be said about a capture."""

    PROVEN = "proven"
    UNPROVEN = "not proven"
    """Nothing speaks against it, and something is missing that it takes."""
    REFUTED = "not ciphertext"


@dataclass(frozen=True, slots=True)
class Proof:
    """The verdict, and all it stands on."""

    outcome: Outcome
    reasons: tuple[str, ...]
    """Why it is not proven; empty if it is."""
    datagrams: int
    """Different UDP payloads and messages of WebSockets, without those of services."""
    proven: int
    """Those of them that opened, and against which nothing speaks."""
    seen: int
    """How often any of them passed a capture point."""
    strict: bool
    capture: Capture
    opening: Opening | None
    blind: Blind
    services: Counter[Service]
    failures: tuple[Failure, ...]


def prove(
    capture: Capture,
    ring: KeyRing | None = None,
    *,
    strict: bool = False,
    canaries: Iterable[Needle] = (),
    secrets: Needles | None = None,
) -> Proof:
    """Judge a capture; without a key log there is only the blind half, which proves nothing by itself.

    In a strict proof nothing but our own datagrams may be there, and no frame of an unknown protocol. ``secrets`` are
    the needles of the key log, for who has them already.
    """
    opening = None if ring is None else open_all(capture.datagrams, ring)
    closed = {packet.payload: packet for packet in (capture.datagrams if opening is None else opening.closed)}
    apart = {payload: kind for payload, packet in closed.items() if (kind := service(packet)) is not None}
    ours = [packet for packet in capture.datagrams if packet.payload not in apart]
    failures = [] if opening is None else [*opening.failures, *_handshakes(opening)]
    if opening is not None:
        failures += [
            Failure(Reason.CLOSED, packet, payload) for payload, packet in closed.items() if payload not in apart
        ]
    hidden = secrets.copy() if secrets is not None else Needles.of(() if ring is None else of_keys(ring))
    hidden.add_all(canaries)
    needles = hidden.copy()
    needles.add_all(of_addresses(ours))
    blind = examine(ours, needles=needles, elsewhere=capture.other_payloads, hidden=hidden)
    datagrams = {packet.payload for packet in ours}
    bad = {failure.payload for failure in failures}
    services = Counter(apart.values())
    refuted = _refuted(capture, blind, failures, services, strict=strict)
    missing = _missing(capture, len(datagrams), ring)
    return Proof(
        outcome=Outcome.REFUTED if refuted else Outcome.UNPROVEN if missing else Outcome.PROVEN,
        reasons=(*refuted, *missing),
        datagrams=len(datagrams),
        proven=0 if opening is None else len(datagrams - bad),
        seen=len(ours),
        strict=strict,
        capture=capture,
        opening=opening,
        blind=blind,
        services=services,
        failures=tuple(failures),
    )


def _handshakes(opening: Opening) -> list[Failure]:
    """Find handshakes that could be told by their length."""
    found = []
    for kind in (Kind.HELLO, Kind.WELCOME):
        handshakes = [one for one in opening.opened if one.dissection.kind is kind]
        if len(handshakes) >= SAME_LENGTHS and len({len(one.payload) for one in handshakes}) == 1:
            found.append(Failure(Reason.LENGTH, handshakes[0].where, handshakes[0].payload, kind.value))
    return found


def _refuted(
    capture: Capture, blind: Blind, failures: Sequence[Failure], services: Counter[Service], *, strict: bool
) -> list[str]:
    found = [f"{times} × {reason}" for reason, times in Counter(failure.reason for failure in failures).items()]
    found += [f"{times} × {test}" for test, times in Counter(finding.test for finding in blind.findings).items()]
    found += [f"{times} × {kind}" for kind, times in capture.others.items() if kind in SPOILT]
    if strict:
        found += [f"{times} × {kind}, which is not ours" for kind, times in services.items()]
        found += [f"{capture.others[Class.UNKNOWN]} × {Class.UNKNOWN}"] * (Class.UNKNOWN in capture.others)
    return found


def _missing(capture: Capture, datagrams: int, ring: KeyRing | None) -> list[str]:
    found = []
    if ring is None:
        found.append("there is no key log, only the blind half of the proof")
    if not datagrams:
        found.append("there is no datagram to judge")
    if capture.lost:
        found.append(f"{capture.lost} frames were lost while recording")
    if capture.others[Class.CUT]:
        found.append(f"{capture.others[Class.CUT]} frames were not recorded whole")
    if capture.cut:
        found.append(f"cut off in the middle: {', '.join(capture.cut)}")
    return found
