"""How many routers are between us and the public internet: how far a packet must go to open our own NATs.

A packet that dies on the way makes the router it dies at say so. The first router that speaks from a public address
stands behind our last NAT; a packet that gets there has opened everything of ours, and nothing of the peer's.
"""

from __future__ import annotations

from typing import Final

from clawchat.nat.scope import is_public
from clawchat.values.limits import BLIND_PRIME_TTL

DEEPEST: Final = 8
"""Hops a probe goes at most: home and provider's NAT end well before, and the peer's begin."""

MARGIN: Final = 1
"""A gateway counts a packet down before it maps it, so one that dies at the NAT itself opens nothing."""


class Depth:
    """Hear which router each TTL ended at; ``hops`` is the smallest TTL that ended at a public one."""

    def __init__(self) -> None:
        self._offenders: dict[int, str] = {}
        self._reached: int | None = None

    def expired(self, ttl: int, offender: str) -> None:
        """Hear that a packet with this TTL died at a router; only the first word on a TTL counts."""
        if 1 <= ttl <= DEEPEST:
            self._offenders.setdefault(ttl, offender)

    def reached(self, ttl: int) -> None:
        """Hear that a packet with this TTL got to a public destination."""
        if 1 <= ttl <= DEEPEST:
            self._reached = min(ttl, self._reached or ttl)

    @property
    def routers(self) -> dict[int, str]:
        """Return the routers that spoke, by TTL."""
        return dict(sorted(self._offenders.items()))

    @property
    def hops(self) -> int | None:
        """Return the depth, or None while no public router spoke and no packet got through.

        A destination counts as a public router: it is behind all of our NATs as well.
        """
        told = [ttl for ttl, offender in self._offenders.items() if is_public(offender)]
        return min([*told, *([] if self._reached is None else [self._reached])], default=None)

    @property
    def settled(self) -> bool:
        """Tell whether more answers can't change the depth: each smaller TTL ended at a router inside."""
        return self.hops is not None and all(ttl in self._offenders for ttl in range(1, self.hops))


def prime_ttl(hops: int | None) -> int:
    """Return the TTL of packets that open our own NATs and should die before the peer's."""
    return BLIND_PRIME_TTL if hops is None else min(hops + MARGIN, DEEPEST)
