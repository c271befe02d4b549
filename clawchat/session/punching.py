"""Looking for a direct path while a relay carries the session, and going back to the relay when it fails."""

from __future__ import annotations

from clawchat.nat.path import PathMachine
from clawchat.nat.probing import Prober
from clawchat.nat.punch import Puncher
from clawchat.session.outbound import Outbound, Transmit
from clawchat.session.surroundings import Surroundings
from clawchat.values.address import Address, Path
from clawchat.values.events import Role
from clawchat.values.limits import BLIND_PRIME_TTL
from clawchat.wire.frames import PathResponse, Punch, encode


class Punching:
    """Steer punching over the relayed path that a session began on, and move the session when it succeeds.

    Both ends punch, the initiator decides: it takes the first direct path that answers into use, and the
    responder follows the newest packets there. When the direct path falls silent, either goes back.
    """

    __slots__ = ("_candidates", "_fallback", "_out", "_paths", "_prober", "_puncher", "_role", "_world")

    def __init__(self, role: Role, paths: PathMachine, out: Outbound, world: Surroundings) -> None:
        self._role = role
        self._paths = paths
        self._out = out
        self._world = world
        self._fallback = paths.current
        self._prober = Prober(world.random)
        self._puncher = Puncher(BLIND_PRIME_TTL)
        self._candidates: tuple[Address, ...] = ()

    @property
    def deadline(self) -> float:
        """Return when ``transmit`` has something to send."""
        return self._puncher.deadline

    def begin(self, candidates: tuple[Address, ...], *, now: float) -> None:
        """Punch towards the peer's addresses, unless a direct path is in use; remember them for when it fails."""
        self._candidates = candidates
        if self._paths.current.relayed:
            self._puncher.begin(self._world.ways(candidates), now=now)

    def on_punch(self, frame: Punch, *, now: float) -> None:
        """Note that the peer's NAT is open for us."""
        self._puncher.on_punch(frame.round, now=now)

    def transmit(self, out: list[Transmit], *, now: float) -> None:
        """Send the probes that are due."""
        if not self._paths.current.relayed:
            self._puncher.stop()
        while self._puncher.deadline <= now:
            for path, ttl in self._puncher.take(now=now):
                self._prober.probe(path, ttl)
            if self._puncher.announce is not None:
                self._out.control(encode(Punch(self._puncher.announce)))
                self._puncher.announce = None
        for item in self._prober.take(now=now):
            self._out.send_alone(out, item, now=now)

    def on_challenge(self, path: Path) -> None:
        """Ask back at once on a direct path that the peer has just shown to reach us."""
        if self._paths.current.relayed and not path.relayed:
            self._prober.probe(path)

    def on_response(self, response: PathResponse, *, now: float) -> bool:
        """Move to a direct path that answered; tell whether the session moved."""
        answered = self._prober.on_response(response, now=now)
        if answered is None or answered.path.relayed or not self._paths.current.relayed:
            return False
        if self._role is not Role.INITIATOR:
            return False
        self._prober.forget()
        self._paths.adopt(answered.path)
        return True

    def fall_back(self, *, now: float) -> bool:
        """Return to the relay from a direct path that fell silent, and punch anew; tell whether the session moved."""
        if self._paths.current.relayed:
            return False
        self._paths.adopt(self._fallback)
        self.begin(self._candidates, now=now)
        return True
