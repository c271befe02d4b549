"""A session whose end moves to another port: both ends probe the new path before anything else goes by it.

The end that moves announces where it will be and probes from there; the peer probes towards it, which opens its own
NAT. The client decides, as in punching: when a probe of its own was answered, it goes over, and the server follows the
newest packets. Until then, and for a while after, the old port hears as well.
"""

from __future__ import annotations

from typing import Final

from clawchat.nat.path import PathFrame, PathMachine
from clawchat.nat.probing import Prober
from clawchat.session.surroundings import Surroundings
from clawchat.values.address import Address, Path
from clawchat.values.events import Role
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES
from clawchat.values.limits_rotation import HOP_TIMEOUT, HOP_TIMES, PORT_GRACE
from clawchat.values.timers import NEVER
from clawchat.wire.frames import PathResponse
from clawchat.wire.rotation import MovePort

MAX_WAYS: Final = 2 * MAX_OBSERVED_CANDIDATES
"""How many paths are probed in one move at most."""


class Hopping:
    """Probe the paths of one move at a time. ``at`` is when the last move of either end began."""

    __slots__ = ("_generation", "_heard", "_mine", "_prober", "_role", "_shown", "_until", "_ways", "_when", "at")

    def __init__(self, role: Role, world: Surroundings) -> None:
        self._role = role
        self._prober = Prober(world.random)
        self._ways: tuple[Path, ...] = ()
        self._when: list[float] = []
        self._until = 0.0
        self._mine = False
        self._generation = 0
        self._heard = 0
        self._shown: Path | None = None  # by which the peer last reached us from elsewhere; it may announce that next
        self.at = -HOP_TIMEOUT

    @property
    def mine(self) -> bool:
        """Tell whether the last move was ours, and was not given up for the peer's."""
        return self._mine

    def active(self, *, now: float) -> bool:
        """Tell whether a move of either end is under way."""
        return now < self._until

    def begin(self, handle: int, addresses: tuple[Address, ...], paths: PathMachine, *, now: float) -> MovePort:
        """Move to a port of ours, which the peer reaches at one of these addresses; return what tells it so."""
        self._mine = True
        self._generation += 1
        self._probe((Path(handle, paths.current.remote),), now=now)
        return MovePort(self._generation, int(PORT_GRACE), addresses)

    def on_announced(self, frame: MovePort, paths: PathMachine, *, now: float) -> None:
        """Probe where the peer will be. When both ends move at once, the client gives its own move up."""
        if frame.generation <= self._heard:
            return
        self._heard = frame.generation
        if self._mine and self._role is Role.RESPONDER and self.active(now=now):
            return
        self._mine = False
        current = paths.current
        # a peer may name its old port as well: that this one answers says nothing of the new one
        others = [each for each in frame.addresses if each.port and each != current.remote]
        found = [each for each in others if each.is_ipv6 == current.remote.is_ipv6]
        if not current.relayed:
            ways = [Path(current.port, each) for each in found[:MAX_OBSERVED_CANDIDATES]]
            shown = self._shown
            if shown is not None and shown not in {current, *ways} and shown.port == current.port:
                ways.append(shown)
            self._probe(tuple(ways), now=now)

    def on_challenge(self, path: Path, paths: PathMachine, *, now: float) -> None:
        """Ask back at once on a path by which the peer reaches us from the port it said it would move to.

        So the path is found even where a NAT gives the new port a public address that nobody could foresee.
        """
        if path == paths.current or path.port != paths.current.port:
            return
        self._shown = path
        if not self._mine and self.active(now=now) and len(self._ways) < MAX_WAYS:
            if path not in self._ways:
                self._ways = (*self._ways, path)
            self._prober.probe(path)

    def _probe(self, ways: tuple[Path, ...], *, now: float) -> None:
        self._prober.forget()
        self._ways = ways
        self._when = [now + after for after in HOP_TIMES]
        self._until = now + HOP_TIMEOUT
        self.at = now

    @property
    def deadline(self) -> float:
        """Return when there are probes to send."""
        if self._prober.waiting:
            return 0.0
        return self._when[0] if self._when else NEVER

    def take(self, *, now: float) -> list[PathFrame]:
        """Return the probes that are due."""
        while self._when and self._when[0] <= now:
            self._when.pop(0)
            for way in self._ways:
                self._prober.probe(way)
        return self._prober.take(now=now)

    def on_response(self, response: PathResponse, paths: PathMachine, *, now: float) -> Path | None:
        """Return the path to go over to, if this answers a probe of it and we are the one to decide.

        Who does not decide follows at once when the peer goes by a path that has answered.
        """
        answered = self._prober.on_response(response, now=now)
        if answered is None or not self.active(now=now):
            return None
        if self._role is Role.RESPONDER:
            paths.on_proven(answered.path, now=now)
            return None
        self.settle()
        return answered.path

    def settle(self) -> None:
        """Send no more probes: the session went over, or it went elsewhere."""
        self._until = 0.0
        self._when.clear()
        self._prober.forget()
