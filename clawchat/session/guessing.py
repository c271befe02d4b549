"""When a session may guess the ports of a symmetric NAT, and what it needs for that."""

from __future__ import annotations

from typing import Final

from clawchat.nat.punch import Shot
from clawchat.nat.punch_fan import WANTED, Fan
from clawchat.nat.punch_memory import Pair
from clawchat.nat.punch_plan import Move, following
from clawchat.nat.reasons import Reason
from clawchat.session.scouting import aim
from clawchat.session.surroundings import Surroundings
from clawchat.values.address import Address, Path
from clawchat.values.habit import Habit, Ports
from clawchat.values.limits import FAN_DELAY
from clawchat.values.timers import NEVER

FAN_RETRY: Final = 1.0
"""How long to wait before asking again for the right to guess, seconds."""

_FANS: Final = frozenset({Move.WALK, Move.LADDER, Move.SCATTER, Move.OPEN})


class Guessing:
    """Follow plain probes with a fan where one suits the two NATs, once; ``reason`` says how it went."""

    __slots__ = ("_done", "_due", "_fan", "_handles", "_pair", "_wait_until", "_world", "reason")

    def __init__(self, world: Surroundings) -> None:
        self._world = world
        self._fan: Fan | None = None
        self._handles: list[int] = []
        self._pair = Pair("", "")
        self._done = False
        self._due = NEVER
        self._wait_until = 0.0
        self.reason: Reason | None = None

    @property
    def deadline(self) -> float:
        """Return when there is something to do."""
        return self._due if self._fan is None else self._fan.deadline

    def consider(  # noqa: PLR0913 - the two ends, and what plain probes had
        self,
        pair: Pair,
        addresses: tuple[Address, ...],
        peer: Habit,
        *,
        fired_at: float,
        round_trip: float,
        now: float,
    ) -> None:
        """Begin a fan if one suits, plain probes had their time, and nobody else guesses."""
        if self._done or self._fan is not None:
            return
        scout = self._world.scout
        own = scout.habit(now=now)
        move = following(own, peer)
        if move is Move.HOPELESS or peer.ports is Ports.BLOCKED:
            self._done = True
            self.reason = Reason.BOTH_SYMMETRIC if move is Move.HOPELESS else Reason.PEER_BLOCKED
        if move not in _FANS:
            self._due = NEVER
            return
        # While an end has not heard yet what its NAT does, or the other's, it might guess where that is hopeless.
        wait = FAN_DELAY if Ports.UNKNOWN in {own.ports, peer.ports} else min(FAN_DELAY, 1.5 * round_trip)
        due = fired_at if scout.memory.winner(pair) is move else fired_at + wait
        due = max(due, self._wait_until)
        if now < due:
            self._due = due
            return
        self._due = NEVER
        self._done = True
        target = aim(addresses, peer.base.host if peer.base else "") if move is Move.OPEN else peer.base
        main = [handle for handle, own in scout.ports.items() if target and own.is_ipv6 == target.is_ipv6][:1]
        if target is None or not main:
            self.reason = Reason.NO_ADDRESS
        elif not scout.memory.begin_fan(pair, now=now):
            self.reason = Reason.GUESS_LATER
            self._done = False
            self._due = self._wait_until = now + FAN_RETRY
        else:
            self.reason = Reason.GUESSING
            self._pair = pair
            self._handles = scout.request(WANTED.get(move, 0))
            ttl = scout.prime_ttl
            self._fan = Fan(move, main, target, peer, prime_ttl=ttl, random=self._world.random, now=now)

    def take(self, *, now: float) -> list[Shot]:
        """Return the probes to send now."""
        fan = self._fan
        if fan is None:
            return []
        shots = fan.take(self._world.scout.ready(self._handles), now=now)
        if fan.over:
            self.reason = Reason.GUESS_MISSED
            self._end(missed=True, now=now)
        return shots

    def on_port(self, *, now: float) -> None:
        """Look at ports that have just been opened."""
        if self._fan is not None:
            self._fan.hurry(now=now)

    @property
    def running(self) -> bool:
        """Tell whether ports are being guessed."""
        return self._fan is not None

    def won(self, path: Path, told: tuple[Address, ...]) -> Move | None:
        """Tell which move of ours led to a path, None if no guess did; its port is kept."""
        if self._fan is None:
            return None
        if path.port in self._handles:
            self._handles.remove(path.port)
        elif path.remote in told:
            return None
        return self._fan.move

    def forget(self, *, now: float) -> None:
        """Stop: a path was found, or everything begins anew."""
        if self._fan is not None:
            self._end(missed=False, now=now)
        self._done = False
        self._due = NEVER
        self._wait_until = 0.0
        self.reason = None

    def _end(self, *, missed: bool, now: float) -> None:
        self._fan = None
        self._world.scout.memory.end_fan(self._pair, missed=missed, now=now)
        self._world.scout.release(self._handles)
        self._handles = []
