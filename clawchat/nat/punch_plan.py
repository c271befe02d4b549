"""Which move suits two NATs. The plain one is always made first; this decides what follows it."""

from __future__ import annotations

from enum import StrEnum

from clawchat.values.habit import Habit, Ports


class Move(StrEnum):
    """A way to open a direct path, or this end's half of one."""

    FIRE = "fire"
    """Prime, then probe the addresses the peer told: all that is tried where a network drops UDP."""
    SPARE = "spare"
    """The same from and to fresh ports."""
    WALK = "walk"
    """Probe the next ports of a peer whose NAT counts."""
    LADDER = "ladder"
    """Both NATs count: open many ports, all aimed at the middle of those the peer opens."""
    SCATTER = "scatter"
    """Probe a peer whose NAT rolls dice at many ports."""
    OPEN = "open"
    """The other half of that: open our dice-rolling NAT at many ports."""
    ANSWER = "answer"
    """Our NAT counts: the peer walks."""
    HOPELESS = "hopeless"
    """Neither end can foresee the other's port."""


def following(own: Habit, peer: Habit) -> Move:
    """Return the move of this end that follows plain probes without an answer."""
    if Ports.BLOCKED in {own.ports, peer.ports}:
        return Move.FIRE
    if peer.ports is Ports.COUNTING:
        if own.ports is Ports.COUNTING:
            return Move.LADDER
        return Move.HOPELESS if own.ports is Ports.RANDOM else Move.WALK
    if peer.ports is Ports.RANDOM:
        return Move.HOPELESS if own.ports.symmetric else Move.SCATTER
    if own.ports.symmetric:
        return Move.ANSWER if own.ports is Ports.COUNTING else Move.OPEN
    return Move.SPARE
