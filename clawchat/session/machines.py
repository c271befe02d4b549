"""The machines that one session is put together from."""

from __future__ import annotations

from typing import Final

from clawchat.nat.mapping_life import MappingLife
from clawchat.nat.mtu import MtuProber, datagram_sizes
from clawchat.nat.path import PathMachine
from clawchat.nat.reasons import Reason
from clawchat.nat.survey import Survey
from clawchat.session.fates import Fates
from clawchat.session.hopping import Hopping
from clawchat.session.keys import SendKeys
from clawchat.session.liveness import Liveness
from clawchat.session.meeting import Meeting, Rendezvous
from clawchat.session.outbound import Outbound, Transmit
from clawchat.session.punching import Punching
from clawchat.session.rekeying import Rekeying
from clawchat.session.surroundings import Surroundings
from clawchat.transport.acks import AckMachine
from clawchat.transport.pacing import Pacer
from clawchat.transport.recovery import Recovery
from clawchat.transport.rtt import INITIAL_RTT, RttEstimator
from clawchat.transport.runs import SentRun
from clawchat.transport.streams import StreamTable
from clawchat.values.address import Address, Path
from clawchat.values.errors import ProtocolViolation
from clawchat.values.events import KeysChanged, PathChanged, Role
from clawchat.values.limits import ACK_DELAY_UNIT, MAX_DELAY_ACK, PATH_PATIENCE
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Ack, Candidates, CloseCode, PathChallenge, PathResponse
from clawchat.wire.rotation import Rekey2

_BLACK_HOLE_PTOS: Final = 2
"""After this many probe timeouts in a row larger datagrams are taken to vanish (RFC 8899 section 4.3)."""


class Machines:
    """Hold the machines, and hand from one to another what no single one owns: the fate of sent packets."""

    __slots__ = (
        "_before",
        "_fates",
        "_relay_rtt",
        "_send",
        "_session",
        "_world",
        "acks",
        "hopping",
        "live",
        "mapping_life",
        "meeting",
        "mtu",
        "out",
        "paths",
        "punching",
        "recovery",
        "rekeying",
        "role",
        "streams",
        "survey",
    )

    def __init__(  # noqa: PLR0913 - what a handshake yields
        self,
        session: int,
        role: Role,
        send: SendKeys,
        streams: StreamTable,
        path: Path,
        world: Surroundings,
        *,
        rtt: float | None,
        rendezvous: Rendezvous | None = None,
        now: float,
    ) -> None:
        self._session = session
        self._world = world
        self._send = send
        self.rekeying: Rekeying  # put in by who builds the session: it needs what the machines send by
        self.role = role
        self.streams = streams
        self.acks = AckMachine()
        patience = PATH_PATIENCE if role is Role.INITIATOR else 0.0
        self.paths = PathMachine(path, world.random, patience=patience)
        self.mtu = MtuProber(*datagram_sizes(path, now=now))
        self.live = Liveness(role, world.random, now=now)
        estimator = RttEstimator()
        if rtt is not None:
            estimator.update(rtt, 0.0, now=now)
        self.recovery = Recovery(estimator, world.congestion())
        pacer = Pacer(self.recovery.congestion, estimator)
        self.punching: Punching | None = None
        self.hopping = Hopping(role, world)
        self.mapping_life = MappingLife()
        self._before = path
        self._relay_rtt = estimator.smoothed if path.relayed else INITIAL_RTT
        self.survey: Survey | None = None  # of a session with a relay: asks what it sees of our ports
        self.out = Outbound(send, streams, self.acks, self.paths, self.mtu, self.recovery, pacer, world.sealer, now=now)
        self._fates = Fates(session, world, streams, self.acks, self.out, self.mtu, self.paths)
        self.meeting = Meeting(role, rendezvous, self.paths, self.out, world, now=now) if rendezvous else None
        if path.relayed:
            self.rely_on(path, now=now)

    def rely_on(self, fallback: Path, *, now: float) -> None:
        """Look for direct paths from now on, and return to this relayed one, or another, when they fail."""
        if self.punching is None:
            self.punching = Punching(self.role, self.paths, self.out, self._world, fallback, now=now)
        else:
            self.punching.rely_on(fallback, now=now)

    def may_open(self, path: Path, *, probing: bool, now: float) -> bool:
        """Tell whether a session that was only begun may open, now that authentic packets arrived by a path."""
        if self.meeting is None:
            return True
        opened = self.meeting.arrived(path, probing=probing)
        if opened:
            self.mtu.restart(*datagram_sizes(path, now=now))
        return opened

    def on_ack(self, frame: Ack, *, now: float) -> None:
        """Settle what an ACK reports. Raises ProtocolViolation."""
        outcome = self.recovery.on_ack(frame.ranges, frame.delay * ACK_DELAY_UNIT, now=now)
        for run in outcome.acked:
            self._fates.on_acked(run, now=now)
        for run in outcome.late:
            self._fates.on_acked(run, now=now)
        if self.punching is not None and (outcome.acked or outcome.late):
            self.punching.on_answer()
        if outcome.lost:
            self._on_all_lost(outcome.lost, outcome.acked, now=now)

    def on_loss_timeout(self, *, now: float) -> None:
        """Send again what time declares lost, and what probes should carry."""
        self._on_all_lost(self.recovery.on_timeout(now=now), [], now=now)
        if not self.recovery.probes_due:
            return
        for piece in self.recovery.probe_pieces():
            self._fates.on_lost(piece)
        if self.recovery.pto_count == _BLACK_HOLE_PTOS:
            self.mtu.fall_back(now=now)
            self.recovery.congestion.max_datagram = self.mtu.size

    def on_moved(self, why: Reason, *, now: float) -> None:
        """Begin anew to measure the path just taken into use; what was under way is sent again."""
        before, self._before = self._before, self.paths.current
        if self.paths.current.relayed:
            self.rely_on(self.paths.current, now=now)
            if before.port == self.paths.current.port:
                return  # another box of the same relay: nothing on the way there is different
            if before.relayed:
                why = Reason.RELAY_CHANGED
        if self.punching is not None:
            why = self.punching.on_moved(why, now=now)
        for run in self.recovery.forget_all():
            self._fates.on_lost(run)
        if before.relayed and self.recovery.rtt.sampled_at is not None:
            self._relay_rtt = self.recovery.rtt.smoothed
        estimator = RttEstimator(self._relay_rtt) if self.paths.current.relayed else RttEstimator()
        congestion = self._world.congestion()
        self.recovery.restart(estimator, congestion)
        self.out.pacer = Pacer(congestion, estimator)
        self.mtu.restart(*datagram_sizes(self.paths.current, now=now))
        congestion.max_datagram = self.mtu.size
        self._world.emit(PathChanged(self._session, self.paths.current, why))

    def punch(self, candidates: tuple[Address, ...], *, now: float) -> None:
        """Look for a direct path to the peer, if there is none."""
        if self.punching is not None:
            self.punching.begin(candidates, now=now)
        if self.meeting is not None:
            self.meeting.fire(now=now)

    def transmit(self, out: list[Transmit], *, now: float) -> float:
        """Append what may be sent now; return when pacing allows more, 0 if nothing waits for it."""
        if self.meeting is not None and not self.meeting.over:
            return self.meeting.transmit(out, now=now)
        if self._send.number >= self._send.worn_at:
            self.rekeying.begin()
        if self.punching is not None:
            self.punching.transmit(out, now=now)
            if self.punching.lost:
                self.fall_back(now=now)
                self.punching.transmit(out, now=now)  # what tells the peer of it goes before all the data that waits
        probes = self.hopping.take(now=now) if self.hopping.deadline <= now else []
        if self.survey is not None:
            patience = self.recovery.rtt.pto(MAX_DELAY_ACK)
            probes += self.survey.ask_again(self._world.scout.local, now=now, patience=patience)
        for item in probes:
            self.out.send_alone(out, item, now=now)
        return self.out.transmit(out, now=now)

    def on_seen(self, path: Path, observed: Address, *, now: float) -> None:
        """Take note of what the peer sees of a port of ours: a NAT that ends mappings shows it there."""
        if self.mapping_life.on_seen(path.port, observed, now=now):
            self._world.mapping_ended(now=now)

    def ports(self) -> list[int]:
        """List the ports that the session needs."""
        return [self.paths.current.port, *(way.port for way in (self.meeting.ways if self.meeting else ()))]

    def begin_hop(self, handle: int, addresses: tuple[Address, ...], *, now: float) -> None:
        """Tell the peer of another port of ours, and see whether the session can go by it."""
        self.out.control(self.hopping.begin(handle, addresses, self.paths, now=now))

    def on_hopped(self, *, now: float) -> None:
        """Go on by another port along the same way: what was measured of it still holds (RFC 9000 section 9.4)."""
        self._before = self.paths.current
        self.hopping.settle()
        if self.punching is not None:
            self.punching.on_hopped(now=now)
        self.out.ping(None)  # a peer that hears nothing from here looks for us where we were
        self._world.emit(PathChanged(self._session, self.paths.current, Reason.HOPPED))

    def on_followed(self, *, now: float) -> None:
        """Go on where the peer's newest packets come from: along the same way by another port, or elsewhere."""
        if self.hopping.active(now=now) and self.paths.current.is_near(self._before):
            self.on_hopped(now=now)
        else:
            self.on_moved(Reason.ROAMED, now=now)

    def fall_back(self, *, now: float) -> None:
        """Leave the path in use for a relay at once, if there is another one."""
        why = self.punching.fall_back(now=now) if self.punching is not None else None
        if why is not None:
            self.on_moved(why, now=now)

    def on_network_changed(self, *, now: float) -> None:
        """Go by a relay at once, if there is one, and look for a direct path anew: our addresses changed."""
        why = self.punching.on_network_changed(now=now) if self.punching is not None else None
        if why is not None:
            self.on_moved(why, now=now)

    @property
    def reason(self) -> Reason:
        """Why the path in use is used."""
        if self.punching is None:
            return Reason.AT_ONCE
        reason = self.punching.reason
        return Reason.UDP_BLOCKED if self.tunnelled and reason is not Reason.RELAY_ONLY else reason

    @property
    def tunnelled(self) -> bool:
        """Tell whether a WebSocket carries the path in use, be it that of the relay."""
        return self._world.tunnelled(self.paths.current)

    def move(self, path: Path, *, now: float) -> None:
        """Use another path at once, and show it to the peer."""
        self.paths.adopt(path)
        self.on_moved(Reason.ROAMED, now=now)
        self.out.ping(None)

    def deadline(self) -> float:
        """Return when a machine of an open session has something to do."""
        nearest = min(self.recovery.deadline() or NEVER, self.acks.deadline, self.paths.deadline, self.mtu.deadline)
        nearest = min(nearest, self.rekeying.deadline, self.hopping.deadline)
        if self.survey is not None:
            nearest = min(nearest, self.survey.deadline)
        return nearest if self.punching is None else min(nearest, self.punching.deadline)

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due. Raises ProtocolViolation when the peer let the keys grow too old."""
        if self.paths.deadline <= now:
            self.paths.on_timeout()
        if self.mtu.deadline <= now:
            self.mtu.on_timeout(now=now)
        self.on_loss_timeout(now=now)
        if self.rekeying.deadline <= now:
            self.rekeying.on_timeout(now=now)
            if self.rekeying.too_old(now=now):
                raise ProtocolViolation(CloseCode.KEY_EXHAUSTED, "the keys are too old, and the peer changes none")

    def on_heard(self, epoch: int, *, now: float) -> None:
        """Change over to a new epoch: its first packet opened."""
        self.rekeying.on_heard(epoch, now=now)
        self._world.emit(KeysChanged(self._session, epoch))

    def on_rekey_answer(self, frame: Rekey2, *, now: float) -> None:
        """Send with the new keys, and at once, so that the peer changes over as well."""
        if self.rekeying.on_answer(frame, now=now):
            self.out.ping(None)

    def nudge(self) -> None:
        """Send something at once, even if what is under way fills the window."""
        self.recovery.pto_count = 0
        self.recovery.probes_due = max(self.recovery.probes_due, 1)

    def offer(self, generation: int, addresses: tuple[Address, ...]) -> None:
        """Tell the peer where this end may be reached."""
        if self.punching is None:
            self.out.control(Candidates(generation, addresses))
        else:
            self.punching.offer(generation, addresses)

    def look(self, path: Path, ttl: int | None = None) -> None:
        """Ask a relay what it sees of a port of ours; with a time to live the question dies on its way."""
        if self.survey is None:
            self.survey = Survey(self._world.random)
        if ttl is None:
            self.survey.ask(path)
        else:
            self.survey.probe(path, ttl)

    def on_challenge(self, challenge: PathChallenge, path: Path, *, now: float) -> None:
        """Answer a challenge on the path it came by."""
        self.paths.on_challenge(challenge, path)
        self.hopping.on_challenge(path, self.paths, now=now)
        if self.role is Role.INITIATOR and path == self.paths.current and not self.hopping.active(now=now):
            self.look(path)  # the peer sees us elsewhere than before: where, and for how long?
        if path.relayed and self.role is Role.RESPONDER:
            self.rely_on(path, now=now)
        if self.punching is not None:
            self.punching.on_challenge(path, now=now)
        if self.meeting is not None:
            self.meeting.on_challenge(path)

    def on_response(self, response: PathResponse, *, now: float) -> bool:
        """Take a path into use that is shown to work; tell whether a session that had none may open now.

        It is the one that was challenged, or a direct one for a relay.
        """
        met = self.meeting.on_response(response, now=now) if self.meeting is not None else None
        if met is not None:
            self.recovery.rtt.update(met.rtt, 0.0, now=now)
            return True
        surveyed = self.survey.on_response(response, now=now) if self.survey is not None else None
        if surveyed is not None:
            self._world.observed(surveyed.path, response.observed, at=now - surveyed.rtt, now=now)
            if self.paths.current.tunnelled and not surveyed.path.tunnelled:
                self.move(surveyed.path, now=now)
                self._world.survey(life=0.0, now=now)  # only now can the relay see our ports
        elif (hopped := self.hopping.on_response(response, self.paths, now=now)) is not None:
            self.paths.adopt(hopped)
            self.on_hopped(now=now)
        elif self.paths.on_response(response):
            self.on_followed(now=now)
        elif self.punching is not None and self.punching.on_response(response, now=now):
            self.on_moved(Reason.PUNCHED, now=now)
        return False

    def _on_all_lost(self, lost: list[SentRun], acked: list[SentRun], *, now: float) -> None:
        for run in lost:
            self._fates.on_lost(run)
        base = self.mtu.base
        vanished = any(run.size > base and not run.probe for run in lost) and all(run.size <= base for run in acked)
        if vanished and self.mtu.on_vanished(now=now):
            self.recovery.congestion.max_datagram = base
