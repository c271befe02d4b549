"""What worked between two networks, and when ports were guessed: shared by all sessions of a process."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from clawchat.nat.punch_plan import Move
from clawchat.values.limits import FAN_INTERVAL, FAN_PAUSE

MAX_PAIRS: Final = 1024
"""How many pairs of networks are remembered; the one not met for longest is forgotten."""


class Pair(NamedTuple):
    """The public IP addresses of this end and of the peer."""

    own: str
    peer: str


class Memory:
    """Remember winners and failures by pair, and let only one round of guessing run at a time.

    A program that wants to remember beyond its own life may keep ``winners``.
    """

    __slots__ = ("_failed", "_fanned_at", "_fanning", "winners")

    def __init__(self) -> None:
        self.winners: OrderedDict[Pair, Move] = OrderedDict()
        self._failed: OrderedDict[Pair, float] = OrderedDict()
        self._fanned_at = -FAN_INTERVAL
        self._fanning = False

    def won(self, pair: Pair, move: Move) -> None:
        """Note what opened a path."""
        self.winners[pair] = move
        self.winners.move_to_end(pair)
        if len(self.winners) > MAX_PAIRS:
            self.winners.popitem(last=False)
        self._failed.pop(pair, None)

    def winner(self, pair: Pair) -> Move | None:
        """Return what opened a path the last time."""
        return self.winners.get(pair)

    def begin_fan(self, pair: Pair, *, now: float) -> bool:
        """Take the right to guess ports, if nobody else has it and it was not in vain lately."""
        if (
            self._fanning
            or now - self._fanned_at < FAN_INTERVAL
            or now - self._failed.get(pair, now - FAN_PAUSE) < (FAN_PAUSE)
        ):
            return False
        self._fanning = True
        self._fanned_at = now
        return True

    def end_fan(self, pair: Pair, *, missed: bool, now: float) -> None:
        """Give the right back."""
        self._fanning = False
        if missed:
            self._failed[pair] = now
            self._failed.move_to_end(pair)
            if len(self._failed) > MAX_PAIRS:
                self._failed.popitem(last=False)
