"""The life of a session, as a table."""

from __future__ import annotations

from enum import Enum, IntEnum, auto
from typing import Final


class State(IntEnum):
    """Where a session stands; numbers, because every packet asks and they are quick to look up."""

    HALF_OPEN = auto()
    OPEN = auto()
    FLUSHING = auto()
    CLOSING = auto()
    CLOSED = auto()

    def __str__(self) -> str:
        return self.name.lower().replace("_", "-")


class Trigger(Enum):
    """What moves a session on."""

    CONFIRMED = "confirmed"
    CLOSE_ASKED = "close asked"
    FLUSHED = "flushed"
    VIOLATED = "violated"
    PEER_CLOSED = "peer closed"
    TIMED_OUT = "timed out"
    LINGERED = "lingered"
    COMPROMISED = "compromised"


TRANSITIONS: Final[dict[State, dict[Trigger, State]]] = {
    State.HALF_OPEN: {
        Trigger.CONFIRMED: State.OPEN,
        Trigger.CLOSE_ASKED: State.CLOSING,
        Trigger.TIMED_OUT: State.CLOSED,
        Trigger.COMPROMISED: State.CLOSED,
    },
    State.OPEN: {
        Trigger.CLOSE_ASKED: State.FLUSHING,
        Trigger.VIOLATED: State.CLOSING,
        Trigger.PEER_CLOSED: State.CLOSED,
        Trigger.TIMED_OUT: State.CLOSED,
        Trigger.COMPROMISED: State.CLOSED,
    },
    State.FLUSHING: {
        Trigger.FLUSHED: State.CLOSING,
        Trigger.VIOLATED: State.CLOSING,
        Trigger.PEER_CLOSED: State.CLOSED,
        Trigger.TIMED_OUT: State.CLOSED,
        Trigger.COMPROMISED: State.CLOSED,
    },
    State.CLOSING: {
        Trigger.PEER_CLOSED: State.CLOSED,
        Trigger.LINGERED: State.CLOSED,
        Trigger.COMPROMISED: State.CLOSED,
    },
    State.CLOSED: {},
}
"""What is not in the table can't happen: a trigger without a row leaves the session where it is."""


def advance(state: State, trigger: Trigger) -> State:
    """Return the state that follows."""
    return TRANSITIONS[state].get(trigger, state)
