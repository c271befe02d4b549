"""What this end tells a peer of its place: where it may be reached, by which spare ports, how its NAT behaves."""

from __future__ import annotations

from collections.abc import Iterable

from clawchat.session.lanes import reached_alike
from clawchat.session.surroundings import Surroundings
from clawchat.values.address import Address
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Candidates


class Offers:
    """Make the next offer when it is due, and only if it says something new.

    ``due_at`` is when. ``since`` is the generation since which our addresses are the same: what a peer says of an
    older one is of no use. The peer has heard of the ``known`` ones in the handshake.
    """

    __slots__ = ("_count", "_known", "_shown", "_told", "_world", "due_at", "since")

    def __init__(self, world: Surroundings, known: Iterable[Address]) -> None:
        self.due_at = NEVER
        self.since = 0
        self._world = world
        self._told: tuple[Address, ...] = ()
        self._count = 0
        self._shown: tuple[object, ...] = ()
        self._known = tuple(known)

    def tell(self, generation: int, addresses: tuple[Address, ...]) -> None:
        """Tell these addresses, too, at once; the offer has this generation at least."""
        self._told = addresses
        self._count = max(self._count, generation - 1)
        self.due_at = 0.0

    def told(self, addresses: tuple[Address, ...]) -> None:
        """Learn what the handshake has told, unless an offer has told more by now."""
        if not self._count:
            self._known = addresses

    def make_by(self, time: float) -> None:
        """Make an offer by then."""
        self.due_at = min(self.due_at, time)

    def take(self, *, now: float) -> Candidates | None:
        """Return the offer that is due, None if there is none or it would say nothing new."""
        if self.due_at > now:
            return None
        self.due_at = NEVER
        scout = self._world.scout
        shown = scout.offer((*self._told, *self._world.candidates)), scout.spare_addresses(), scout.habit(now=now)
        if shown == self._shown or not shown[0]:
            return None
        self._shown = shown
        self._count += 1
        if not reached_alike(self._known, shown[0], shown[2].ports):
            self.since = self._count
        self._known = shown[0]
        return Candidates(self._count, *shown)
