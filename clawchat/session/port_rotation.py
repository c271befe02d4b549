"""How far an endpoint's move to another port has come, as a table, and what it remembers of its moves."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from clawchat.values.address import Address
from clawchat.values.timers import NEVER


class Stage(Enum):
    """How far a move has come."""

    STAYING = "staying"
    OPENING = "opening"
    PREPARING = "preparing"
    MOVING = "moving"


class Turn(Enum):
    """What moves it on."""

    DUE = "due"
    OPENED = "the port is open"
    ANNOUNCED = "the peers are told"
    FAILED = "no port, or nobody follows"
    MOVED = "the peers follow"


TRANSITIONS: Final[dict[Stage, dict[Turn, Stage]]] = {
    Stage.STAYING: {Turn.DUE: Stage.OPENING},
    Stage.OPENING: {Turn.OPENED: Stage.PREPARING, Turn.FAILED: Stage.STAYING},
    Stage.PREPARING: {Turn.ANNOUNCED: Stage.MOVING, Turn.FAILED: Stage.STAYING},
    Stage.MOVING: {Turn.MOVED: Stage.STAYING, Turn.FAILED: Stage.STAYING},
}
"""A turn without a row changes nothing."""


class Retired(NamedTuple):
    """An old port: until when it is kept at least, and the credentials that may name it."""

    until: float
    slots: frozenset[bytes]


class Rotation:
    """What an endpoint remembers of its moves. ``main`` is the port in use, None without one."""

    def __init__(self) -> None:
        self.stage = Stage.STAYING
        self.main: int | None = None
        self.new: int | None = None
        self.due_at = NEVER
        self.deadline = NEVER
        self.until = NEVER
        self.seen_by = NEVER  # until when relays have time to say what they see of a new port
        self.tries = 0
        self.told: set[int] = set()
        self.addresses: tuple[Address, ...] = ()
        self.retired: dict[int, Retired] = {}
        self.moves = 0

    def turn(self, turn: Turn) -> bool:
        """Take a step; tell whether there is one."""
        following = TRANSITIONS[self.stage].get(turn)
        if following is None:
            return False
        self.stage = following
        return True
