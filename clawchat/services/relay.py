"""A relay: boxes to reach each other by, and datagrams passed on between them that it cannot read.

Every member, a session with this relay, has a box of its own, which the others learn only from what it sends.
A server registers the mailbox of each credential it has handed out; whoever holds the credential writes there
first. What is passed on is somebody else's sealed datagram.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from clawchat.wire.frames import BOX_BYTES

MAX_BOXES: Final = 256
"""How many boxes one member may hold besides its own: a server's live credentials, and some it has burnt since."""

RATE: Final = 2_500_000
"""Bytes a second one member may have passed on, 20 Mbit/s; more is dropped, as by a slow link."""

BURST: Final = 1_000_000
"""Bytes one member may have passed on at once."""


class Delivery(NamedTuple):
    """A datagram for a member: pass it on as if it came from ``box``."""

    member: int
    box: bytes
    data: bytes


class RelayFigures(NamedTuple):
    """What a relay did; sizes in bytes."""

    members: int
    boxes: int
    forwarded: int
    forwarded_bytes: int
    unknown: int
    over_quota: int


class _Member:
    __slots__ = ("at", "box", "boxes", "left")

    def __init__(self, box: bytes, *, now: float) -> None:
        self.box = box
        self.boxes: dict[bytes, None] = {}  # those it registered, the oldest first
        self.left = float(BURST)
        self.at = now


class RelayHub:
    """Who is here, which box is whose, and how much each may send. ``random`` makes boxes."""

    def __init__(self, random: Callable[[int], bytes], *, rate: float = RATE, burst: float = BURST) -> None:
        self._random = random
        self._rate = rate
        self._burst = burst
        self._members: dict[int, _Member] = {}
        self._boxes: dict[bytes, int] = {}
        self._forwarded = 0
        self._forwarded_bytes = 0
        self._unknown = 0
        self._over_quota = 0

    def join(self, member: int, *, now: float) -> None:
        """Take in a member and give it a box of its own."""
        box = self._random(BOX_BYTES)
        self._members[member] = _Member(box, now=now)
        self._boxes[box] = member

    def leave(self, member: int) -> None:
        """Forget a member and its boxes."""
        left = self._members.pop(member, None)
        for box in (left.box, *left.boxes) if left else ():
            del self._boxes[box]

    def register(self, member: int, box: bytes) -> bool:
        """Let a member have what comes for one more box; False if a member has it as its own.

        The last to register a box has it: a server that was cut off and came back holds the credential still.
        One box too many costs the member its oldest; to register a box again makes it the newest.
        """
        holder = self._members.get(member)
        before = self._members.get(self._boxes.get(box, member))
        if holder is None or before is None or before.box == box:
            return False
        before.boxes.pop(box, None)
        holder.boxes[box] = None
        self._boxes[box] = member
        if len(holder.boxes) > MAX_BOXES:
            del self._boxes[oldest := next(iter(holder.boxes))], holder.boxes[oldest]
        return True

    def forward(self, member: int, box: bytes, data: bytes, *, now: float) -> Delivery | None:
        """Return whom to pass a member's datagram on to, None if there is nobody or the member sent too much."""
        sender = self._members.get(member)
        target = self._boxes.get(box)
        if sender is None or target is None:
            self._unknown += 1
            return None
        sender.left = min(self._burst, sender.left + (now - sender.at) * self._rate)
        sender.at = now
        if sender.left < len(data):
            self._over_quota += 1
            return None
        sender.left -= len(data)
        self._forwarded += 1
        self._forwarded_bytes += len(data)
        return Delivery(target, sender.box, data)

    def figures(self) -> RelayFigures:
        """Return what was done so far."""
        return RelayFigures(
            len(self._members),
            len(self._boxes),
            self._forwarded,
            self._forwarded_bytes,
            self._unknown,
            self._over_quota,
        )
