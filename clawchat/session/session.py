"""One secure association with one peer: what a program does with it, and what its packets do to it.

A session holds no rule of the protocol. Each machine owns its frames; the session opens packets, hands
every frame to its owner by the table ``_HANDLERS``, and keeps the timers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from clawchat.nat.mtu import MtuProber
from clawchat.nat.path import PathMachine
from clawchat.session.closing import Closing
from clawchat.session.keys import PACKET_NUMBER_BITS, ReceiveKeys, SendKeys
from clawchat.session.liveness import Liveness
from clawchat.session.outbound import AckSent, ControlSent, Outbound, PingSent, ProbeSent, Transmit
from clawchat.session.state import State, Trigger, advance
from clawchat.transport.acks import AckMachine
from clawchat.transport.congestion import CongestionController
from clawchat.transport.pacing import Pacer
from clawchat.transport.recovery import Recovery
from clawchat.transport.rtt import RttEstimator
from clawchat.transport.runs import SentRun, StreamRun
from clawchat.transport.streams import StreamTable
from clawchat.values.address import Address, Path
from clawchat.values.errors import (
    BadDatagram,
    LocallyClosed,
    PeerClosed,
    ProtocolViolation,
    SessionClosed,
    TimedOut,
    UsageError,
)
from clawchat.values.events import (
    DatagramReceived,
    Event,
    PathChanged,
    PingAnswered,
    Role,
    SessionEnded,
    SessionOpened,
    SlotConfirmed,
)
from clawchat.values.limits import ACK_DELAY_UNIT, BASE_DATAGRAM, DEAD_PEER, HALF_OPEN_LIFE, MAX_DELAY_ACK, SEND_BUFFER
from clawchat.values.timers import NEVER, Timer, Timers
from clawchat.wire.frames import (
    Ack,
    Candidates,
    Close,
    CloseCode,
    Datagram,
    Frame,
    MaxData,
    MaxStreamData,
    MaxStreams,
    Padding,
    PathChallenge,
    PathResponse,
    Ping,
    Reset,
    Stop,
    Stream,
    decode,
)
from clawchat.wire.packet import BatchOpener, BatchSealer, Run, split_number, unseal

_PACKET_NUMBER: Final = (1 << PACKET_NUMBER_BITS) - 1
_SILENT_FRAMES: Final = (Ack, Padding, Close)
_IPV6_MAX_DATAGRAM: Final = 1452
_IPV4_MAX_DATAGRAM: Final = 1472
_BLACK_HOLE_PTOS: Final = 2
FLUSH_TIMEOUT: Final = 10.0
"""A closing session waits at most this many seconds until everything written is acknowledged."""


class Surroundings(Protocol):
    """What a session needs of its endpoint."""

    def emit(self, event: Event) -> None:
        """Tell the program."""

    def wake(self, session: Session) -> None:
        """Ask for a turn to send: the program used the session."""

    def sealer(self, size: int) -> BatchSealer:
        """Return the shared sealer for a datagram size."""

    def congestion(self) -> CongestionController:
        """Make a congestion controller for a new path."""

    def random(self, size: int) -> bytes:
        """Return random bytes."""


class Identity(NamedTuple):
    """Who a session is: its id here, its role, the slot it came by, what both ends compare."""

    id: int
    role: Role
    slot_id: bytes
    slot_name: str
    words: str
    cid: bytes


class SessionStats(NamedTuple):
    """Figures of a session; times in seconds, sizes in bytes. ``loss`` is the share of packets sent that was lost."""

    age: float
    rtt: float
    rtt_min: float
    loss: float
    bytes_sent: int
    bytes_received: int
    packets_sent: int
    packets_received: int
    datagram_size: int
    window: int
    in_flight: int
    path: Path
    heard: float


class Session:
    """The surface of one session. A call that the caller must not make raises UsageError."""

    __slots__ = (
        "_acks",
        "_born",
        "_close",
        "_closing",
        "_live",
        "_mtu",
        "_opened",
        "_out",
        "_paths",
        "_receive",
        "_recovery",
        "_streams",
        "_timers",
        "_world",
        "bytes_received",
        "identity",
        "observed",
        "packets_received",
        "peer_candidates",
        "scheduled",
        "state",
    )

    def __init__(  # noqa: PLR0913 - what a handshake yields
        self,
        identity: Identity,
        send: SendKeys,
        receive: ReceiveKeys,
        path: Path,
        streams: StreamTable,
        world: Surroundings,
        *,
        peer_candidates: tuple[Address, ...],
        observed: Address | None,
        rtt: float | None,
        now: float,
    ) -> None:
        self.identity = identity
        self.peer_candidates = peer_candidates
        self.observed = observed
        self.state = State.HALF_OPEN
        self.scheduled = NEVER
        self.bytes_received = 0
        self.packets_received = 0
        self._world = world
        self._receive = receive
        self._born = now
        self._close: tuple[int, str] = (CloseCode.NONE, "")
        self._closing = Closing()
        self._acks = AckMachine()
        self._streams = streams
        self._timers = Timers()
        self._paths = PathMachine(path, world.random)
        self._mtu = MtuProber(_max_datagram(path))
        estimator = RttEstimator()
        if rtt is not None:
            estimator.update(rtt, 0.0, now=now)
        self._recovery = Recovery(estimator, world.congestion())
        pacer = Pacer(self._recovery.congestion, estimator)
        self._live = Liveness(world.random, now=now)
        self._out = Outbound(
            send, streams, self._acks, self._paths, self._mtu, self._recovery, pacer, world.sealer, now=now
        )
        if identity.role is Role.RESPONDER:
            self._timers.set(Timer.HANDSHAKE, now + HALF_OPEN_LIFE)
        else:
            self._confirm(path, now=now)

    # --- what a program does -----------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The number that events carry."""
        return self.identity.id

    @property
    def path(self) -> Path:
        """The path in use."""
        return self._paths.current

    @property
    def words(self) -> str:
        """The safety words, which must read the same on both ends."""
        return self.identity.words

    def open_stream(self) -> int:
        """Open a stream and return its id. Raises UsageError when the peer allows no more."""
        self._require_open()
        return self._streams.open()

    def write(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes, and the end with ``fin``. Nothing is refused for size: look at ``room`` first."""
        self._require_open()
        self._streams.write(stream, data, fin=fin)
        self._world.wake(self)

    def room(self, stream: int) -> int:
        """Return how many bytes a stream takes before its writer should wait for StreamWritable."""
        return self._streams.room(stream, max(SEND_BUFFER, 2 * self._recovery.congestion.window))

    def read(self, stream: int, limit: int = -1) -> bytes:
        """Take received bytes in order, at most ``limit`` if given; empty if there are none."""
        data = self._streams.read(stream, limit)
        if self._streams.control_pending:
            self._world.wake(self)
        return data

    def at_end(self, stream: int) -> bool:
        """Tell whether everything up to the stream's end was read."""
        return self._streams.at_end(stream)

    def reset(self, stream: int, code: int = CloseCode.APPLICATION) -> None:
        """Give up sending on a stream."""
        self._streams.reset(stream, code)
        self._world.wake(self)

    def stop(self, stream: int, code: int = CloseCode.APPLICATION) -> None:
        """Ask the peer to give up sending on a stream, and drop what it sent."""
        self._streams.stop(stream, code)
        self._world.wake(self)

    def send_datagram(self, data: bytes) -> None:
        """Send an unreliable message. Raises UsageError when it does not fit one packet."""
        self._require_open()
        if len(data) > self._out.max_datagram():
            raise UsageError(f"a message of {len(data)} bytes does not fit a packet")
        self._out.datagram(data)
        self._world.wake(self)

    def ping(self, token: int = 0) -> None:
        """Ask the peer to answer at once; PingAnswered with this token follows."""
        self._require_open()
        self._out.ping(token)
        self._world.wake(self)

    def close(self, code: int = CloseCode.NONE, reason: str = "", *, now: float, at_once: bool = False) -> None:
        """Close the session, once everything written is acknowledged or 10 s went by, or ``at_once``."""
        if self.state in {State.FLUSHING, State.OPEN}:
            self._close = (code, reason)
            self._move(Trigger.CLOSE_ASKED)
            self._timers.set(Timer.HANDSHAKE, now if at_once else now + FLUSH_TIMEOUT)
            if at_once or self._streams.flushed():
                self._begin_closing(now=now)
        elif self.state is State.HALF_OPEN:
            self._end(LocallyClosed("closed before it was confirmed"), Trigger.CLOSE_ASKED)
        self._world.wake(self)

    def stats(self, *, now: float) -> SessionStats:
        """Return the session's figures."""
        recovery, out = self._recovery, self._out
        return SessionStats(
            age=now - self._born,
            rtt=recovery.rtt.smoothed,
            rtt_min=recovery.rtt.minimum,
            loss=recovery.packets_lost / max(1, recovery.packets_sent),
            bytes_sent=out.bytes_sent,
            bytes_received=self.bytes_received,
            packets_sent=out.packets_sent,
            packets_received=self.packets_received,
            datagram_size=self._mtu.size,
            window=recovery.congestion.window,
            in_flight=recovery.in_flight,
            path=self._paths.current,
            heard=now - self._live.heard_at,
        )

    def _require_open(self) -> None:
        if self.state is not State.OPEN:
            raise UsageError(f"the session is {self.state.value}")

    # --- what packets do ---------------------------------------------------------------------------

    def receive_one(self, header: bytes, packet: memoryview, path: Path, *, now: float) -> None:
        """Take one packet whose plain header named this session. Raises BadDatagram."""
        number = split_number(header)
        aead = self._receive.epochs.get(number >> PACKET_NUMBER_BITS)
        if aead is None:
            raise BadDatagram("epoch")
        number &= _PACKET_NUMBER
        replay = self._receive.replay
        if not replay.check(number):
            raise BadDatagram("replay")
        body = unseal(aead, header, packet)
        newest = number > replay.top
        replay.mark(number)
        self._arrived(len(packet), 1, path, newest=newest, now=now)
        self._take_body(body, number, path, now=now)

    def receive_run(self, batch: BatchOpener, run: Run, path: Path, *, now: float) -> bool:
        """Take a run of a loaded batch at once; False if its packets have to be taken one by one."""
        aead = self._receive.epochs.get(run.number >> PACKET_NUMBER_BITS)
        first = run.number & _PACKET_NUMBER
        replay = self._receive.replay
        if aead is None or not replay.check_run(first, run.count) or not batch.open(aead, run):
            return False
        replay.mark_run(first, run.count)
        self._arrived(batch.size * run.count, run.count, path, newest=True, now=now)
        stretch = batch.stream(run)
        if stretch is None or self.state not in {State.OPEN, State.FLUSHING}:
            for index in range(run.count):
                self._take_body(batch.body(run.start + index), first + index, path, now=now)
            return True
        self._acks.on_received(first, run.count, eliciting=True, now=now)
        stream, offset, data = stretch
        try:
            self._streams.on_data(stream, offset, data, fin=False)
        except ProtocolViolation as violation:
            self._violated(violation, now=now)
        return True

    def _arrived(self, size: int, packets: int, path: Path, *, newest: bool, now: float) -> None:
        self._live.heard_at = now
        self.bytes_received += size
        self.packets_received += packets
        if self.state is State.HALF_OPEN:
            self._confirm(path, now=now)
        if newest:
            if path == self._paths.current:
                self._paths.on_current_again()
            else:
                self._paths.on_newest(path, size)
        if self.state is State.CLOSING:
            self._closing.on_late_packet()

    def _take_body(self, body: bytes, number: int, path: Path, *, now: float) -> None:
        if self.state is State.CLOSED:
            return
        eliciting = False
        try:
            for frame in decode(body):
                handler, states = _HANDLERS[type(frame)]
                if not isinstance(frame, _SILENT_FRAMES):
                    eliciting = True
                if self.state in states:
                    handler(self, frame, path, now)
        except ProtocolViolation as violation:
            self._violated(violation, now=now)
        self._acks.on_received(number, 1, eliciting=eliciting, now=now)

    def _on_padding(self, _frame: Padding, _path: Path, _now: float) -> None:
        """Padding says nothing."""

    def _on_ping(self, _frame: Ping, _path: Path, now: float) -> None:
        self._acks.deadline = now

    def _on_ack(self, frame: Ack, _path: Path, now: float) -> None:
        outcome = self._recovery.on_ack(frame.ranges, frame.delay * ACK_DELAY_UNIT, now=now)
        for run in outcome.acked:
            self._on_run_acked(run, now=now)
        for run in outcome.late:
            self._on_run_acked(run, now=now)
        for run in outcome.lost:
            self._on_run_lost(run)
        if self.state is State.FLUSHING and self._streams.flushed():
            self._begin_closing(now=now)

    def _on_run_acked(self, run: SentRun, *, now: float) -> None:
        if run.run is not None:
            self._streams.on_acked(run.run)
        for record in run.frames:
            match record:
                case StreamRun():
                    self._streams.on_acked(record)
                case AckSent(largest):
                    self._acks.on_ack_acked(largest)
                case PingSent(token, sent_at):
                    self._world.emit(PingAnswered(self.id, token, now - sent_at))
                case ProbeSent(size):
                    self._timers.clear(Timer.MTU)
                    self._mtu.on_acked(size)
                    self._recovery.congestion.max_datagram = self._mtu.size

    def _on_run_lost(self, run: SentRun) -> None:
        if run.run is not None:
            self._streams.on_lost(run.run)
        for record in run.frames:
            match record:
                case StreamRun():
                    self._streams.on_lost(record)
                case ControlSent(frame):
                    self._out.control(frame)
                case PingSent(token, _):
                    self._out.ping(token)

    def _on_stream(self, frame: Stream, _path: Path, _now: float) -> None:
        self._streams.on_data(frame.stream, frame.offset, frame.data, fin=frame.fin)

    def _on_stream_control(
        self, frame: Reset | Stop | MaxData | MaxStreamData | MaxStreams, _path: Path, _now: float
    ) -> None:
        self._streams.on_control(frame)

    def _on_datagram(self, frame: Datagram, _path: Path, _now: float) -> None:
        self._world.emit(DatagramReceived(self.id, frame.data))

    def _on_close(self, frame: Close, _path: Path, _now: float) -> None:
        self._end(PeerClosed(frame.code, frame.reason), Trigger.PEER_CLOSED)

    def _on_path_challenge(self, frame: PathChallenge, path: Path, _now: float) -> None:
        self._paths.on_challenge(frame, path)

    def _on_path_response(self, frame: PathResponse, _path: Path, now: float) -> None:
        self.observed = frame.observed
        if self._paths.on_response(frame):
            self._moved("roamed", now=now)

    def _on_candidates(self, frame: Candidates, _path: Path, _now: float) -> None:
        self.peer_candidates = frame.addresses

    def _moved(self, why: str, *, now: float) -> None:
        """Begin anew to measure the path just taken into use."""
        for run in self._recovery.forget_all():
            self._on_run_lost(run)
        estimator, congestion = RttEstimator(), self._world.congestion()
        self._recovery.restart(estimator, congestion)
        self._out.pacer = Pacer(congestion, estimator)
        self._mtu.restart(_max_datagram(self.path))
        self._timers.clear(Timer.MTU)
        self._world.emit(PathChanged(self.id, self.path, why))

    # --- life --------------------------------------------------------------------------------------

    def _move(self, trigger: Trigger) -> None:
        self.state = advance(self.state, trigger)

    def _confirm(self, path: Path, *, now: float) -> None:
        self._move(Trigger.CONFIRMED)
        self._timers.clear(Timer.HANDSHAKE)
        self._timers.set(Timer.KEEPALIVE, self._live.keepalive_at(now))
        self._timers.set(Timer.DEAD_PEER, self._live.dead_at())
        identity = self.identity
        if identity.role is Role.RESPONDER:
            self._world.emit(SlotConfirmed(identity.slot_id, identity.id))
        else:
            self._out.ping(None)
        self._world.emit(SessionOpened(identity.id, identity.role, identity.slot_id, identity.words, path))

    def _violated(self, violation: ProtocolViolation, *, now: float) -> None:
        if self.state in {State.OPEN, State.FLUSHING}:
            self._close = (violation.code, violation.reason)
            self._begin_closing(now=now, trigger=Trigger.VIOLATED)

    def _begin_closing(self, *, now: float, trigger: Trigger = Trigger.FLUSHED) -> None:
        self._move(trigger)
        code, reason = self._close
        self._timers.clear_all()
        self._closing.begin(code, reason, probe_timeout=self._recovery.rtt.pto(MAX_DELAY_ACK), now=now)
        error = LocallyClosed(reason or "this end closed the session")
        self._world.emit(SessionEnded(self.id, error))

    def _end(self, error: SessionClosed, trigger: Trigger) -> None:
        told = self.state in {State.HALF_OPEN, State.CLOSING}
        self._move(trigger)
        self._timers.clear_all()
        self._closing.deadline = NEVER
        self._closing.due = False
        if not told:
            self._world.emit(SessionEnded(self.id, error))

    # --- time --------------------------------------------------------------------------------------

    def transmit(self, out: list[Transmit], *, now: float) -> None:
        """Append what may be sent now."""
        if self.state in {State.OPEN, State.FLUSHING}:
            paced_until = self._out.transmit(out, now=now)
            self._timers.set(Timer.PACING, paced_until or NEVER)
            if self._mtu.probing and not self._timers.is_set(Timer.MTU):
                self._timers.set(Timer.MTU, now + max(1.0, 3 * self._recovery.rtt.pto(MAX_DELAY_ACK)))
        elif self.state is State.CLOSING and self._closing.due:
            out.append(self._out.seal_close(self._closing.take(), self.path))

    def next_timeout(self) -> float:
        """Return the nearest deadline, NEVER if there is none."""
        loss = self._recovery.deadline() if self.state in {State.OPEN, State.FLUSHING} else None
        return min(
            self._timers.next(),
            NEVER if loss is None else loss,
            self._acks.deadline if self.state is not State.CLOSING else NEVER,
            self._paths.deadline,
            self._closing.deadline,
        )

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due."""
        for timer in self._timers.expired(now=now):
            self._on_timer(timer, now=now)
        if self._closing.deadline <= now and self._closing.on_timeout(now=now):
            self._move(Trigger.LINGERED)
        if self._paths.deadline <= now:
            self._paths.on_timeout()
        if self.state in {State.OPEN, State.FLUSHING}:
            self._on_loss_timeout(now=now)

    def _on_loss_timeout(self, *, now: float) -> None:
        for run in self._recovery.on_timeout(now=now):
            self._on_run_lost(run)
        if self._recovery.probes_due:
            for piece in self._recovery.probe_pieces():
                self._on_run_lost(piece)
            if self._recovery.pto_count == _BLACK_HOLE_PTOS and self._mtu.size > BASE_DATAGRAM:
                self._mtu.fall_back(now=now)
                self._recovery.congestion.max_datagram = self._mtu.size

    def _on_timer(self, timer: Timer, *, now: float) -> None:
        match timer:
            case Timer.KEEPALIVE:
                due = self._live.keepalive_at(self._out.sent_at)
                if due <= now:
                    self._live.on_keepalive()
                    self._out.ping(None)
                    due = self._live.keepalive_at(now)
                self._timers.set(Timer.KEEPALIVE, due)
            case Timer.DEAD_PEER:
                due = self._live.dead_at()
                if due <= now:
                    self._end(TimedOut(f"nothing was heard for {DEAD_PEER:.0f} s"), Trigger.TIMED_OUT)
                else:
                    self._timers.set(Timer.DEAD_PEER, due)
            case Timer.MTU:
                self._mtu.on_lost(now=now)
            case Timer.HANDSHAKE if self.state is State.HALF_OPEN:
                self._end(TimedOut("the handshake was not confirmed"), Trigger.TIMED_OUT)
            case Timer.HANDSHAKE if self.state is State.FLUSHING:
                self._begin_closing(now=now)
            case _:
                """Pacing only needs the turn to send that follows every timeout."""


def _max_datagram(path: Path) -> int:
    return _IPV6_MAX_DATAGRAM if path.remote.is_ipv6 else _IPV4_MAX_DATAGRAM


_ANY: Final = frozenset({State.OPEN, State.FLUSHING, State.CLOSING})
_LIVE: Final = frozenset({State.OPEN, State.FLUSHING})

_HANDLERS: Final[dict[type[Frame], tuple[Callable[[Session, Frame, Path, float], None], frozenset[State]]]] = {
    Padding: (Session._on_padding, _ANY),
    Ping: (Session._on_ping, _LIVE),
    Ack: (Session._on_ack, _LIVE),
    Stream: (Session._on_stream, _LIVE),
    Reset: (Session._on_stream_control, _LIVE),
    Stop: (Session._on_stream_control, _LIVE),
    MaxData: (Session._on_stream_control, _LIVE),
    MaxStreamData: (Session._on_stream_control, _LIVE),
    MaxStreams: (Session._on_stream_control, _LIVE),
    Datagram: (Session._on_datagram, _LIVE),
    Close: (Session._on_close, _ANY),
    PathChallenge: (Session._on_path_challenge, _LIVE),
    PathResponse: (Session._on_path_response, _LIVE),
    Candidates: (Session._on_candidates, _LIVE),
}
"""Which machine owns a frame, and in which states it is heard; elsewhere it is ignored."""
