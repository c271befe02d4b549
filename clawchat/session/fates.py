"""What becomes of what packets carried: acknowledged, it is settled; lost, it is sent again."""

from __future__ import annotations

from clawchat.nat.mtu import MtuProber
from clawchat.nat.path import PathMachine
from clawchat.session.contents import AckSent, ControlSent, PingSent, ProbeSent
from clawchat.session.outbound import Outbound
from clawchat.session.surroundings import Surroundings
from clawchat.transport.acks import AckMachine
from clawchat.transport.runs import SentRun, StreamRun
from clawchat.transport.streams import StreamTable
from clawchat.values.events import PingAnswered


class Fates:
    """Hand the fate of each piece to the machine that sent it."""

    __slots__ = ("_acks", "_mtu", "_out", "_paths", "_session", "_streams", "_world")

    def __init__(  # noqa: PLR0913 - the machines that send
        self,
        session: int,
        world: Surroundings,
        streams: StreamTable,
        acks: AckMachine,
        out: Outbound,
        mtu: MtuProber,
        paths: PathMachine,
    ) -> None:
        self._session = session
        self._world = world
        self._streams = streams
        self._acks = acks
        self._out = out
        self._mtu = mtu
        self._paths = paths

    def on_acked(self, run: SentRun, *, now: float) -> None:
        """Settle what an acknowledged run of packets carried."""
        if self._mtu.vanished and run.size > self._mtu.base:
            self._mtu.vanished = 0
        if run.run is not None:
            self._streams.on_acked(run.run)
        for record in run.frames:
            match record:
                case StreamRun():
                    self._streams.on_acked(record)
                case AckSent(largest):
                    self._acks.on_ack_acked(largest)
                case PingSent(question, sent_at) if not question.answered:
                    question.answered = True
                    self._world.emit(PingAnswered(self._session, question.token, now - sent_at))
                case ProbeSent(size, path) if path == self._paths.current:
                    self._mtu.on_acked(size, now=now)
                    self._out.recovery.congestion.max_datagram = self._mtu.size

    def on_lost(self, run: SentRun) -> None:
        """Have sent again what a lost run of packets carried."""
        if run.run is not None:
            self._streams.on_lost(run.run)
        for record in run.frames:
            match record:
                case StreamRun():
                    self._streams.on_lost(record)
                case ControlSent(frame):
                    self._out.control_again(frame)
                case PingSent(question, _) if not question.answered:
                    self._out.ping(question)
