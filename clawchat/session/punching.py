"""Looking for a direct path while a relay carries the session, and going back to the relay when it fails."""

from __future__ import annotations

from clawchat.nat.path import PathMachine
from clawchat.nat.probing import Prober
from clawchat.nat.punch import Puncher
from clawchat.nat.punch_plan import Move
from clawchat.nat.reasons import Reason
from clawchat.session.comparing import Comparing
from clawchat.session.guessing import Guessing
from clawchat.session.lanes import early, lanes, pair
from clawchat.session.offering import Offers
from clawchat.session.outbound import Outbound, Transmit
from clawchat.session.priming import Priming
from clawchat.session.reserve import Reserve
from clawchat.session.surroundings import Surroundings
from clawchat.values.address import Address, Path
from clawchat.values.events import Role
from clawchat.values.habit import Ports
from clawchat.values.limits import REACHED_PAUSE, SETTLED, SILENT_FIRE, SURVEY_WAIT
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Candidates, PathResponse, Punch


class Punching:
    """Steer punching over a relayed path, and move the session when it succeeds.

    Both ends punch, the initiator decides: it takes the first direct path that answers into use, and the
    responder follows the newest packets there. When the direct path falls silent, either goes back.
    ``reason`` says why the session uses the path it does.
    """

    __slots__ = (
        "_comparing",
        "_guessing",
        "_heard",
        "_kept",
        "_offers",
        "_out",
        "_paths",
        "_peer",
        "_peer_generation",
        "_priming",
        "_prober",
        "_puncher",
        "_reserve",
        "_role",
        "_settled_at",
        "_stranded",
        "_world",
        "lost",
        "move",
        "reason",
    )

    def __init__(  # noqa: PLR0913 - a session's path machine, what it sends by, where it lives
        self, role: Role, paths: PathMachine, out: Outbound, world: Surroundings, fallback: Path, *, now: float
    ) -> None:
        self._role = role
        self._paths = paths
        self._out = out
        self._world = world
        self._prober = Prober(world.random)
        self._priming = Priming(self._prober)
        self._reserve = Reserve(self._prober, world.tunnelled, shows=role is Role.INITIATOR)
        self._reserve.add(fallback, now=now)
        self._comparing = Comparing(self._prober)
        self._puncher = Puncher(world.scout.prime_ttl)
        self._guessing = Guessing(world)
        self._peer = Candidates(0, ())
        self._peer_generation = 0
        self._heard: Punch | None = None
        self._offers = Offers(world, world.scout.offer(world.candidates) if role is Role.RESPONDER else ())
        self._settled_at = now
        self._kept: int | None = None  # the port of a direct path that we asked for
        self._stranded = False  # whether we have left the relay in use
        self.lost = False  # whether the path in use is to be left
        self.move: Move | None = None  # which found the direct path
        self.reason = Reason.LOOKING if paths.current.relayed else Reason.AT_ONCE

    @property
    def deadline(self) -> float:
        """Return when ``transmit`` has something to do."""
        punch_at = max(self._puncher.deadline, self._world.scout.feeling_until)
        puncher = min(punch_at, self._puncher.refresh_at, self._comparing.deadline)
        return min(puncher, self._reserve.deadline, self._guessing.deadline, self._offers.due_at)

    @property
    def busy(self) -> bool:
        """Tell whether a direct path is being looked for."""
        return self._puncher.active

    @property
    def peer_ports(self) -> Ports:
        """How the peer's NAT chooses ports, as far as it has told."""
        return self._peer.nat.ports

    # --- what both ends tell each other ------------------------------------------------------------

    def offer(self, generation: int, addresses: tuple[Address, ...]) -> None:
        """Tell the peer at once where this end may be reached, with what we know of our NAT."""
        self._offers.tell(generation, addresses)

    def on_news(self, *, now: float) -> None:
        """Tell the peer soon what a relay has just seen of us."""
        if self._paths.current.relayed:
            self._offers.make_by(now + SURVEY_WAIT)

    def on_candidates(self, frame: Candidates, *, now: float) -> None:
        """Punch towards what the peer tells, instead of what it told before."""
        if frame.generation < self._peer_generation:
            return
        self._peer_generation = frame.generation
        same = set(frame.addresses) == set(self._peer.addresses)
        self._peer = frame
        if not same or not self._puncher.active:
            self._start(now=now)
            return
        self._puncher.use(*lanes(self._world.scout, self._peer, now=now))
        if self._puncher.primed is not None:
            self._say(self._puncher.primed)

    def on_punch(self, frame: Punch, path: Path, *, now: float) -> None:
        """Note that the peer's NAT is open for us; a peer that says so has lost the direct path."""
        self._heard = frame
        self.on_relayed(path, now=now)
        if frame.generation >= self._offers.since:
            self._puncher.on_punch(frame.round, now=now)

    def on_heard(self, packets: int, path: Path, *, now: float) -> None:
        """Note that packets came by a path, the newest of all."""
        self._reserve.on_heard(packets, self._out.recovery.rtt.smoothed, now=now)
        if path.relayed:
            self.on_relayed(path, now=now)

    def on_relayed(self, path: Path, *, now: float) -> None:
        """Note that the peer sends over a relay: it has lost the direct path, unless we have only just found it."""
        if not self._paths.current.relayed and now - self._settled_at > SETTLED + 3 * self._out.recovery.rtt.smoothed:
            self._reserve.prefer(path)
            self.lost = True

    # --- relays ------------------------------------------------------------------------------------

    def rely_on(self, path: Path, *, now: float) -> None:
        """Hold one more relayed path in reserve; take it into use at once if the relay in use is gone."""
        self._reserve.add(path, now=now)
        self.lost = self.lost or self._stranded

    def on_relay_left(self, port: int) -> None:
        """Forget the paths through a relay that we are no longer a member of."""
        if self._reserve.drop(port) and self._paths.current.port == port:
            self._stranded = self.lost = True

    # --- beginning ---------------------------------------------------------------------------------

    def prime(self, candidates: tuple[Address, ...], allowed: int, *, now: float) -> None:
        """Open our NATs towards a peer that has only asked, by ``allowed`` bytes, so that it may fire at once."""
        scout = self._world.scout
        found = lanes(scout, Candidates(0, candidates), now=now) if self._world.direct_allowed else []
        for lane in found[:1]:
            self._priming.begin(lane.prime, early(scout, lane.prime, now=now), scout.prime_ttl, allowed, now=now)

    def transmit_primes(self, out: list[Transmit], *, now: float) -> float:
        """Append what ``prime`` decided; return when there is more."""
        return self._priming.transmit(out, self._out, self._paths.current, now=now)

    def told(self, addresses: tuple[Address, ...]) -> None:
        """Learn what our HELLO has said of where we may be reached."""
        self._offers.told(addresses)

    def begin(self, candidates: tuple[Address, ...], *, now: float) -> None:
        """Punch towards the peer's addresses, unless a direct path is in use."""
        if not self._peer_generation:
            self._peer = Candidates(0, candidates)
        if not self._paths.current.relayed:
            return
        self._world.survey(now=now)
        self._offers.make_by(now)
        self._start(now=now)

    def _start(self, *, now: float) -> None:
        if not self._paths.current.relayed:
            return
        if not self._world.direct_allowed:
            self.reason = Reason.RELAY_ONLY
            return
        found = lanes(self._world.scout, self._peer, now=now)
        heard = self._heard
        ready = heard.round if heard is not None and heard.generation >= self._offers.since else -1
        self._puncher.rtt = self._out.recovery.rtt.smoothed
        self._puncher.begin(*found, peer_ready=ready, now=now)
        if not self._guessing.running:
            self._guessing.forget(now=now)
        missing = Reason.NO_PORT if self._peer.addresses else Reason.NO_ADDRESS
        self.reason = Reason.WAITING_FOR_PEER if found else missing

    # --- sending -----------------------------------------------------------------------------------

    def transmit(self, out: list[Transmit], *, now: float) -> None:
        """Send the probes that are due."""
        offer = self._offers.take(now=now)
        if offer is not None:
            self._out.control(offer)
            if self._puncher.active:
                self._puncher.use(*lanes(self._world.scout, self._peer, now=now))
        if self._paths.current.relayed:
            self._punch(now=now)
        self._comparing.probe(now=now)
        self.lost = self._reserve.watch(self._paths.current, self._out.recovery, now=now) or self.lost
        for item in self._prober.take(now=now):
            self._out.send_alone(out, item, now=now)

    def _punch(self, *, now: float) -> None:
        puncher, scout = self._puncher, self._world.scout
        if puncher.refresh_at <= now:
            puncher.refresh_at = NEVER
            self._world.survey(life=SETTLED, now=now)
        if now < scout.feeling_until:
            return
        puncher.prime_ttl = scout.prime_ttl
        while puncher.deadline <= now:
            for path, ttl in puncher.take(now=now):
                self._prober.probe(path, ttl)
            if puncher.announce is not None:
                self._say(puncher.announce)
                puncher.announce = None
        if puncher.fired_at is None:
            return
        guessing, peer, rtt, at = self._guessing, self._peer, self._out.recovery.rtt.smoothed, puncher.fired_at
        guessing.consider(pair(scout, peer), peer.addresses, peer.nat, fired_at=at, round_trip=rtt, now=now)
        for path, ttl in guessing.take(now=now):
            self._prober.probe(path, ttl)
        silent = Reason.NO_ANSWER if now - puncher.fired_at >= SILENT_FIRE else Reason.LOOKING
        self.reason = guessing.reason or (Reason.STRUCK if puncher.struck else silent)

    def _say(self, number: int) -> None:
        self._out.control(Punch(number, self._peer_generation))

    # --- what comes back ---------------------------------------------------------------------------

    def on_challenge(self, path: Path, *, now: float) -> None:
        """Ask back at once on a direct path that the peer has just shown to reach us."""
        if self._paths.current.relayed and not path.relayed and self._world.direct_allowed:
            self._prober.ask_back(path, self._out.recovery.rtt.smoothed, now=now)
            if self._role is Role.RESPONDER:
                self._puncher.pause(until=now + REACHED_PAUSE)

    def on_port(self, *, now: float) -> None:
        """Use a port that has just been opened."""
        self._guessing.on_port(now=now)

    def on_answer(self) -> None:
        """Note that the path in use works: the peer acknowledged something."""
        self._reserve.on_acked()

    def on_struck(self, path: Path, *, now: float) -> None:
        """Hear from the network that a probe went to the peer's gateway and no further."""
        self._puncher.on_struck(path, now=now)
        scout = self._world.scout
        scout.prime_ttl = min(scout.prime_ttl, self._puncher.prime_ttl)

    def on_response(self, response: PathResponse, *, now: float) -> bool:
        """Move to a direct path that answered, or to a relay for one by WebSocket; tell whether the session moved."""
        answered = self._prober.on_response(response, now=now)
        if answered is None:
            return False
        current = self._paths.current
        if answered.path == current:
            self._reserve.on_answer()
        if answered.path.relayed:
            self._reserve.prefer(answered.path)
            self.lost = self.lost or (self._reserve.tried_all and answered.path.port != current.port)
            better = answered.path if self._reserve.is_better(answered.path, current) else None
        else:
            better = answered.path if current.relayed else self._comparing.on_answer(answered, current)
        if better is None or self._role is not Role.INITIATOR:
            if better is not None:
                self._paths.on_proven(better, now=now)
            return False
        self._paths.adopt(better)
        return True

    def on_moved(self, why: Reason, *, now: float) -> Reason:
        """Settle on the path just taken into use, or look for a better one; return why it is used."""
        self._reserve.on_moved()
        self._settled_at = now
        path = self._paths.current
        self._stranded = False
        self._comparing.stop()
        if path.relayed:
            self._reserve.prefer(path)
            if not self._puncher.active:
                self.begin(self._peer.addresses, now=now)
            return Reason.RELAY_CHANGED if why is Reason.PUNCHED else why
        scout = self._world.scout
        move = self._guessing.won(path, self._peer.addresses)
        self._kept = scout.keep(path.port, instead_of=self._kept)
        self.move = move or (Move.FIRE if path.port in scout.ports else Move.SPARE)
        scout.memory.won(pair(self._world.scout, self._peer), self.move)
        self._guessing.forget(now=now)
        self._prober.forget()
        if self._puncher.active and self._role is Role.INITIATOR:
            self._comparing.begin(path, scout.ways(self._peer.addresses), now=now)
        self._puncher.stop()
        self._heard = None
        if why is not Reason.ROAMED or self.reason in _SEARCHING:
            why = Reason.GUESSED if move else Reason.PUNCHED
        self.reason = why
        return why

    def fall_back(self, *, now: float) -> Reason | None:
        """Leave a path that fell silent for a relayed one; return why the session moved, None if it has no other."""
        self.lost = False
        before, after = self._paths.current, self._reserve.instead_of(self._paths.current)
        if after is None:
            return None
        self._paths.adopt(after)
        self._reserve.leave(before)
        if before.relayed:
            return Reason.RELAY_CHANGED
        self._look_around(now=now)  # perhaps it is our own address that changed
        self.reason = Reason.SUSPECT
        return Reason.SUSPECT

    def on_network_changed(self, *, now: float) -> Reason | None:
        """Leave a direct path, or look anew for one; return why the session moved, None if it did not."""
        if not self._paths.current.relayed:
            return self.fall_back(now=now)
        self._look_around(now=now)
        return None

    def _look_around(self, *, now: float) -> None:
        self._world.survey(life=SETTLED, now=now)
        self.begin(self._peer.addresses, now=now)

    def on_hopped(self, *, now: float) -> None:
        """Go on by a port of the whole endpoint: the one we had asked for is closed when nobody needs it any more."""
        self._settled_at = now
        if self._kept is not None and self._kept != self._paths.current.port:
            self._world.retire_port(self._kept, now=now)
            self._kept = None

    def close(self, *, now: float) -> None:
        """Give back every port: the session is over."""
        self._guessing.forget(now=now)
        self._world.scout.release([] if self._kept is None else [self._kept])


_SEARCHING = frozenset(Reason) - {Reason.AT_ONCE, Reason.PUNCHED, Reason.GUESSED, Reason.ROAMED, Reason.HOPPED}
