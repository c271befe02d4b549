"""What a cable does to packets: delay, jitter, loss, reordering, duplication."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final


@dataclass(frozen=True, slots=True)
class Link:
    """One cable; every figure holds for each direction."""

    delay: float = 0.0
    """Seconds on the way."""
    jitter: float = 0.0
    """Seconds: each packet is early or late by up to this much, but keeps its place in the row."""
    loss: float = 0.0
    """Share of packets that never arrive, 0 to 1."""
    lose_every: int = 0
    """Every so many-th packet never arrives; 0 for none. Unlike `loss` it is the same in every run."""
    reorder: float = 0.0
    """Share of packets that overtake those before them: they cross without any delay."""
    duplicate: float = 0.0
    """Share of packets that arrive twice."""

    def __post_init__(self) -> None:
        if not 0 <= self.jitter <= self.delay:
            raise ValueError("jitter is between 0 and the delay")
        if not all(0 <= share <= 1 for share in (self.loss, self.reorder, self.duplicate)):
            raise ValueError("a share of packets is between 0 and 1")
        if self.lose_every < 0 or self.lose_every == 1:
            raise ValueError("every n-th packet can be lost for n of 2 and more")
        if self.reorder and not self.delay:
            raise ValueError("packets can overtake one another only where there is a delay")

    @property
    def changes_time(self) -> bool:
        """Tell whether packets cross otherwise than at once and alone: filter rules cannot do that."""
        return bool(self.delay or self.reorder or self.duplicate)

    @property
    def even(self) -> bool:
        """Tell whether every packet arrives, alone and after the same time."""
        return not (self.jitter or self.loses or self.reorder or self.duplicate)

    @property
    def loses(self) -> bool:
        """Tell whether packets may get lost."""
        return bool(self.loss or self.lose_every)


CLEAN: Final = Link()
"""A cable that changes nothing."""


class Crossing:
    """One direction of a link, as a machine: a packet enters, and arrives at none, one or two times."""

    __slots__ = ("_entered", "_link", "_random", "_row")

    def __init__(self, link: Link, random: Random) -> None:
        self._link = link
        self._random = random
        self._entered = 0
        self._row = 0.0
        """When the last packet that kept its place arrives."""

    def arrivals(self, now: float) -> tuple[float, ...]:
        """Return when a packet that enters now arrives at the other end."""
        link = self._link
        if link is CLEAN:
            return (now,)
        self._entered += 1
        chance = self._random.random
        if link.lose_every and self._entered % link.lose_every == 0:
            return ()
        if link.loss and chance() < link.loss:
            return ()
        if link.reorder and chance() < link.reorder:
            arrival = now
        else:
            late = link.jitter * (2 * chance() - 1) if link.jitter else 0.0
            arrival = self._row = max(now + link.delay + late, self._row)
        return (arrival, arrival) if link.duplicate and chance() < link.duplicate else (arrival,)
