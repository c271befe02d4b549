"""A session whose handshake went by files, and which has no path yet: both ends look for one."""

from __future__ import annotations

from typing import NamedTuple

from clawchat.nat.meeting import Volleys
from clawchat.nat.path import PathMachine
from clawchat.nat.probing import Answered, Prober
from clawchat.session.outbound import Outbound, Transmit
from clawchat.session.surroundings import Surroundings
from clawchat.values.address import Path
from clawchat.values.events import Role
from clawchat.values.limits import BLOCK, MAX_DELAY_ACK
from clawchat.wire.frames import PathResponse


class Rendezvous(NamedTuple):
    """Where to look for the peer, until when (monotonic seconds), and how far priming packets go."""

    ways: tuple[Path, ...]
    until: float
    prime_ttl: int


class Meeting:
    """Probe the peer's addresses until a path is known to work, and take it into use.

    The asking end takes the first path by which a probe of its own was answered; the answering end the one by
    which the first packet came, since the asking end sends by no other until it has an answer.
    """

    __slots__ = ("_out", "_paths", "_prober", "_role", "_volleys", "_ways", "over", "until")

    def __init__(  # noqa: PLR0913 - the machines it uses
        self,
        role: Role,
        rendezvous: Rendezvous,
        paths: PathMachine,
        out: Outbound,
        world: Surroundings,
        *,
        now: float,
    ) -> None:
        self.over = False
        self.until = rendezvous.until
        self._role = role
        self._ways = rendezvous.ways
        self._paths = paths
        self._out = out
        self._prober = Prober(world.random)
        self._volleys = Volleys(role, rendezvous.prime_ttl, now=now)

    @property
    def ways(self) -> tuple[Path, ...]:
        """The paths that are probed."""
        return () if self.over else self._ways

    def fire(self, *, now: float) -> None:
        """Send full probes from now on: the peer has read our answer."""
        self._volleys.fire(now=now)

    def transmit(self, out: list[Transmit], *, now: float) -> float:
        """Append the probes and answers that are due; return when there is more to send."""
        while self._volleys.deadline <= now:
            ttl = self._volleys.take(now=now).ttl
            for path in self._ways:
                self._prober.probe(path, ttl)
        timeout = self._out.recovery.rtt.pto(MAX_DELAY_ACK)
        answers = self._paths.take(4 * BLOCK, now=now, timeout=timeout) if self._paths.waiting else []
        for item in answers + self._prober.take(now=now):
            self._out.send_alone(out, item, now=now)
        return self._volleys.deadline

    def on_challenge(self, path: Path) -> None:
        """Ask back at once by a path on which the peer has just reached us."""
        if not self.over:
            self._prober.probe(path)

    def on_response(self, response: PathResponse, *, now: float) -> Answered | None:
        """Take the path that answered into use, if none is yet; return it."""
        answered = None if self.over else self._prober.on_response(response, now=now)
        if answered is not None:
            self._settle(answered.path)
        return answered

    def arrived(self, path: Path, *, probing: bool) -> bool:
        """Tell whether the session may open now that an authentic packet came by a path.

        The answering end sends more than probes only once it has taken a path by which it heard from us.
        """
        if not self.over and (self._role is Role.RESPONDER or not probing):
            self._settle(path)
        return self.over

    def _settle(self, path: Path) -> None:
        self.over = True
        self._prober.forget()
        self._paths.adopt(path)
