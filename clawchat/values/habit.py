"""How an end's NAT chooses public ports, in the few words that its peer needs to aim by."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from clawchat.values.address import Address


class Ports(IntEnum):
    """What a NAT's next public port will be."""

    UNKNOWN = 0
    PRESERVING = 1
    """Our local port."""
    STEADY = 2
    """Another one, the same for every destination."""
    COUNTING = 3
    """For each destination the next one, a step further."""
    RANDOM = 4
    BLOCKED = 5
    """None: the network drops UDP."""

    @property
    def symmetric(self) -> bool:
        """Tell whether every destination sees another port."""
        return self in {Ports.COUNTING, Ports.RANDOM}


class Habit(NamedTuple):
    """One end's NAT.

    ``base`` is the newest public address seen, None if nothing is known. ``step`` and ``window`` say how far apart
    the next ports of a counting NAT are, and how many of them are worth a try.
    """

    ports: Ports = Ports.UNKNOWN
    step: int = 0
    window: int = 0
    lowest: int = 0
    highest: int = 0
    base: Address | None = None


UNKNOWN: Final = Habit()
BLOCKED: Final = Habit(Ports.BLOCKED)
