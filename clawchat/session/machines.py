"""The machines that one session is put together from."""

from __future__ import annotations

from typing import Final, Protocol

from clawchat.nat.mtu import MtuProber
from clawchat.nat.path import PathMachine
from clawchat.session.keys import SendKeys
from clawchat.session.liveness import Liveness
from clawchat.session.outbound import AckSent, ControlSent, Outbound, PingSent, ProbeSent
from clawchat.transport.acks import AckMachine
from clawchat.transport.congestion import CongestionController
from clawchat.transport.pacing import Pacer
from clawchat.transport.recovery import Recovery
from clawchat.transport.rtt import RttEstimator
from clawchat.transport.runs import SentRun, StreamRun
from clawchat.transport.streams import StreamTable
from clawchat.values.address import Path
from clawchat.values.events import Event, PathChanged, PingAnswered, Role
from clawchat.values.limits import ACK_DELAY_UNIT, BASE_DATAGRAM, MAX_DATAGRAM, MAX_DATAGRAM_IPV6, PATH_PATIENCE
from clawchat.wire.frames import Ack
from clawchat.wire.packet import BatchSealer

_BLACK_HOLE_PTOS: Final = 2
"""After this many probe timeouts in a row larger datagrams are taken to vanish (RFC 8899 section 4.3)."""


class Surroundings(Protocol):
    """What a session needs of its endpoint."""

    def emit(self, event: Event) -> None:
        """Tell the program."""

    def sealer(self, size: int) -> BatchSealer:
        """Return the shared sealer for a datagram size."""

    def congestion(self) -> CongestionController:
        """Make a congestion controller for a new path."""

    def random(self, size: int) -> bytes:
        """Return random bytes."""


class Machines:
    """Hold the machines, and hand from one to another what no single one owns: the fate of sent packets."""

    __slots__ = ("_session", "_world", "acks", "live", "mtu", "out", "paths", "recovery", "streams")

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
        now: float,
    ) -> None:
        self._session = session
        self._world = world
        self.streams = streams
        self.acks = AckMachine()
        patience = PATH_PATIENCE if role is Role.INITIATOR else 0.0
        self.paths = PathMachine(path, world.random, patience=patience)
        self.mtu = MtuProber(_max_datagram(path))
        self.live = Liveness(role, world.random, now=now)
        estimator = RttEstimator()
        if rtt is not None:
            estimator.update(rtt, 0.0, now=now)
        self.recovery = Recovery(estimator, world.congestion())
        pacer = Pacer(self.recovery.congestion, estimator)
        self.out = Outbound(send, streams, self.acks, self.paths, self.mtu, self.recovery, pacer, world.sealer, now=now)

    def on_ack(self, frame: Ack, *, now: float) -> None:
        """Settle what an ACK reports. Raises ProtocolViolation."""
        outcome = self.recovery.on_ack(frame.ranges, frame.delay * ACK_DELAY_UNIT, now=now)
        for run in outcome.acked:
            self._on_acked(run, now=now)
        for run in outcome.late:
            self._on_acked(run, now=now)
        for run in outcome.lost:
            self._on_lost(run)

    def on_loss_timeout(self, *, now: float) -> None:
        """Send again what time declares lost, and what probes should carry."""
        for run in self.recovery.on_timeout(now=now):
            self._on_lost(run)
        if not self.recovery.probes_due:
            return
        for piece in self.recovery.probe_pieces():
            self._on_lost(piece)
        if self.recovery.pto_count == _BLACK_HOLE_PTOS and self.mtu.size > BASE_DATAGRAM:
            self.mtu.fall_back(now=now)
            self.recovery.congestion.max_datagram = self.mtu.size

    def on_moved(self, why: str) -> None:
        """Begin anew to measure the path just taken into use; what was under way is sent again."""
        for run in self.recovery.forget_all():
            self._on_lost(run)
        estimator, congestion = RttEstimator(), self._world.congestion()
        self.recovery.restart(estimator, congestion)
        self.out.pacer = Pacer(congestion, estimator)
        self.mtu.restart(_max_datagram(self.paths.current))
        self._world.emit(PathChanged(self._session, self.paths.current, why))

    def _on_acked(self, run: SentRun, *, now: float) -> None:
        if run.run is not None:
            self.streams.on_acked(run.run)
        for record in run.frames:
            match record:
                case StreamRun():
                    self.streams.on_acked(record)
                case AckSent(largest):
                    self.acks.on_ack_acked(largest)
                case PingSent(question, sent_at) if not question.answered:
                    question.answered = True
                    self._world.emit(PingAnswered(self._session, question.token, now - sent_at))
                case ProbeSent(size, path) if path == self.paths.current:
                    self.mtu.on_acked(size, now=now)
                    self.recovery.congestion.max_datagram = self.mtu.size

    def _on_lost(self, run: SentRun) -> None:
        if run.run is not None:
            self.streams.on_lost(run.run)
        for record in run.frames:
            match record:
                case StreamRun():
                    self.streams.on_lost(record)
                case ControlSent(frame):
                    self.out.control(frame)
                case PingSent(question, _) if not question.answered:
                    self.out.ping(question)


def _max_datagram(path: Path) -> int:
    return MAX_DATAGRAM_IPV6 if path.remote.is_ipv6 else MAX_DATAGRAM
