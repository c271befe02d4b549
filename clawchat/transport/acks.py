"""What was received, and when to say so (RFC 9000 section 13.2)."""

from __future__ import annotations

from typing import Final

from clawchat.values.limits import ACK_DELAY_UNIT, MAX_ACK_RANGES, MAX_DELAY_ACK
from clawchat.values.ranges import RangeSet
from clawchat.values.timers import NEVER
from clawchat.wire.frames import encode_ack

PACKETS_PER_ACK: Final = 2
"""An ACK is due after this many ack-eliciting packets (RFC 9000 section 13.2.2)."""

PROMPT_PACKETS: Final = 16
"""After a gap so many packets are acknowledged at once: a sender whose window is small waits for each of them, as the
next one may be lost (so does Linux, TCP_MAX_QUICKACKS)."""


class AckMachine:
    """Remember received packet numbers and build the ACK frames that report them.

    One ACK answers a whole batch: the driver hands over everything it received before it asks for
    something to send.
    """

    __slots__ = ("_largest_at", "_prompt_below", "_received", "deadline", "largest", "waiting")

    def __init__(self) -> None:
        self._received = RangeSet()
        self._largest_at = 0.0
        self._prompt_below = 0  # packet numbers below it are acknowledged at once
        self.largest = -1  # the largest packet number received
        self.waiting = 0  # how many packets arrived that want to be acknowledged
        self.deadline = NEVER

    def on_received(self, first: int, count: int, *, eliciting: bool, now: float) -> None:
        """Note packets ``first`` to ``first + count``; the caller has checked that they are no replays."""
        gap = first != self.largest + 1
        self._received.add(first, first + count)
        if gap:
            self._received.keep_newest(MAX_ACK_RANGES)
            self._prompt_below = max(self._prompt_below, first + count + PROMPT_PACKETS)
        if first + count - 1 > self.largest:
            self.largest = first + count - 1
            self._largest_at = now
        if not eliciting:
            return
        self.waiting += count
        if first < self._prompt_below or self.waiting >= PACKETS_PER_ACK:
            self.deadline = now
        elif self.deadline == NEVER:
            self.deadline = now + MAX_DELAY_ACK

    def due(self, *, now: float) -> bool:
        """Tell whether an ACK must be sent by itself now."""
        return self.deadline <= now

    def frame(self, *, now: float) -> bytes:
        """Encode an ACK of everything received lately, and count it as sent."""
        self.waiting = 0
        self.deadline = NEVER
        ranges = [(start, stop - 1) for start, stop in self._received.last(MAX_ACK_RANGES)]
        return encode_ack(ranges, int((now - self._largest_at) / ACK_DELAY_UNIT))

    def on_ack_acked(self, largest: int) -> None:
        """Stop reporting numbers up to ``largest``: the peer has seen an ACK that reported them.

        The newest range stays, so that the set is never empty.
        """
        if largest > 0:
            self._received.subtract(0, min(largest, self.largest))
