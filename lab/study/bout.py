"""One attempt of two ends to reach each other: what is varied, and what became of it."""

from __future__ import annotations

from typing import NamedTuple

from lab.matrix.expected import Verdict
from lab.model.link import Link
from lab.strategies.strategy import Strategy

ROUND_TRIP: float = 0.08
"""Seconds from one end to the other and back; the relay is as far."""

CABLE_DELAY: float = ROUND_TRIP / 4
"""Each of the four times a packet and its answer cross a gateway's cable."""


class Bout(NamedTuple):
    """What is tried."""

    strategy: Strategy
    client: str
    server: str
    seed: int
    loss: float = 0.0
    """Share of datagrams that get lost on the way from one end to the other."""
    late: tuple[float, float] = (0.0, 0.0)
    """Seconds for which the client and the server get no turn when they are told to begin."""
    blind: bool = False
    """Ours does not know how many NATs of its own there are."""

    @property
    def link(self) -> Link:
        """Return the cable of each gateway; a datagram crosses two of them."""
        return Link(delay=CABLE_DELAY, loss=1 - (1 - self.loss) ** 0.5)


class Trial(NamedTuple):
    """What became of it."""

    verdict: Verdict
    took: float | None
    """Seconds from the moment the client was told to begin until it was direct."""
    packets: int
    """Datagrams that both ends sent towards each other until then."""


def both_late(skew: float, number: int) -> tuple[float, float]:
    """Return a start skew of which the client's lateness and the server's take turns."""
    return (skew, 0.0) if number % 2 else (0.0, skew)
