"""One secure association with one peer: what a program does with it, and its life from birth to silence.

A session holds no rule of the protocol. Each machine owns its frames; ``inbound`` hands them what arrives,
``outbound`` asks them what to send, and the session keeps the state and the timers.
"""

from __future__ import annotations

from typing import Final

from clawchat.nat.reasons import Reason
from clawchat.session.closing import Closing
from clawchat.session.contents import Question
from clawchat.session.figures import measure
from clawchat.session.identity import Identity, SessionStats
from clawchat.session.inbound import Inbound
from clawchat.session.keys import ReceiveKeys
from clawchat.session.machines import Machines
from clawchat.session.outbound import Transmit
from clawchat.session.state import State, Trigger, advance
from clawchat.session.table import Table
from clawchat.values.address import Address, Path
from clawchat.values.errors import (
    Compromised,
    HandshakeFailed,
    LocallyClosed,
    PathsExhausted,
    PeerClosed,
    ProtocolViolation,
    SessionClosed,
    TimedOut,
    UsageError,
)
from clawchat.values.events import CompromisedHeard, Role, SessionEnded, SessionOpened, SlotConfirmed
from clawchat.values.limits import CONFIRM_TIMEOUT, DEAD_PEER, FLUSH_TIMEOUT, HALF_OPEN_LIFE, MAX_DELAY_ACK, SEND_BUFFER
from clawchat.values.timers import NEVER, Timer, Timers
from clawchat.wire.frames import Close, CloseCode, Register
from clawchat.wire.rotation import Compromised as CompromisedFrame
from clawchat.wire.rotation import Scope

_TALKING: Final = frozenset({State.OPEN, State.FLUSHING})


class Session:
    """The surface of one session. A call that the caller must not make raises UsageError."""

    __slots__ = (
        "_born",
        "_close",
        "_closing",
        "_inbound",
        "_table",
        "_timers",
        "identity",
        "machines",
        "observed",
        "peer_candidates",
        "receive_one",
        "receive_run",
        "scheduled",
        "state",
    )

    def __init__(  # noqa: PLR0913 - what a handshake yields
        self,
        identity: Identity,
        receive: ReceiveKeys,
        machines: Machines,
        table: Table,
        *,
        peer_candidates: tuple[Address, ...],
        observed: Address | None,
        now: float,
    ) -> None:
        self.identity = identity
        self.peer_candidates = peer_candidates
        self.observed = observed
        self.state = State.HALF_OPEN
        self.scheduled = NEVER
        self._table = table
        self._born = now
        self._close: tuple[int, str] = (CloseCode.NONE, "")
        self._closing = Closing()
        self.machines = machines
        self._timers = Timers()
        self._inbound = Inbound(receive, machines, self, table.emit)
        self.receive_one = self._inbound.receive_one
        self.receive_run = self._inbound.receive_run
        if identity.role is Role.RESPONDER or machines.meeting is not None:
            self._timers.set(Timer.HANDSHAKE, machines.meeting.until if machines.meeting else now + HALF_OPEN_LIFE)
        else:
            self._confirm(machines.paths.current, now=now)

    # --- what a program does -----------------------------------------------------------------------

    @property
    def id(self) -> int:
        """The number that events carry."""
        return self.identity.id

    @property
    def path(self) -> Path:
        """The path in use."""
        return self.machines.paths.current

    @property
    def words(self) -> str:
        """The safety words, which must read the same on both ends."""
        return self.identity.words

    @property
    def idle(self) -> bool:
        """Tell whether everything that was sent is acknowledged."""
        return not self.machines.recovery.in_flight

    def open_stream(self) -> int:
        """Open a stream and return its id. Raises UsageError when the peer allows no more."""
        self._require_open()
        return self.machines.streams.open()

    def write(self, stream: int, data: bytes, *, fin: bool = False) -> None:
        """Queue bytes, and the end with ``fin``. Nothing is refused for size: look at ``room`` first."""
        if self.state is not State.OPEN:
            self._require_open()
        self.machines.streams.write(stream, data, fin=fin)
        self._table.wake(self)

    def room(self, stream: int) -> int:
        """Return how many bytes a stream takes before its writer should wait for StreamWritable."""
        window = self.machines.recovery.congestion.window
        return self.machines.streams.room(stream, max(SEND_BUFFER, 2 * window))

    def read(self, stream: int, limit: int = -1) -> bytes:
        """Take received bytes in order, at most ``limit`` if given; empty if there are none."""
        data = self.machines.streams.read(stream, limit)
        if self.machines.streams.control_pending:
            self._table.wake(self)
        return data

    def at_end(self, stream: int) -> bool:
        """Tell whether everything up to the stream's end was read."""
        return self.machines.streams.at_end(stream)

    def reset(self, stream: int, code: int = CloseCode.APPLICATION) -> None:
        """Give up sending on a stream."""
        self.machines.streams.reset(stream, code)
        self._table.wake(self)

    def stop(self, stream: int, code: int = CloseCode.APPLICATION) -> None:
        """Ask the peer to give up sending on a stream, and drop what it sent."""
        self.machines.streams.stop(stream, code)
        self._table.wake(self)

    def send_datagram(self, data: bytes) -> None:
        """Send an unreliable message. Raises UsageError when it does not fit one packet."""
        self._require_open()
        if len(data) > self.machines.out.max_datagram():
            raise UsageError(f"a message of {len(data)} bytes does not fit a packet")
        self.machines.out.datagram(data)
        self._table.wake(self)

    def register(self, box: bytes) -> None:
        """Ask a relay for what comes for a box of 16 bytes, too."""
        self._require_open().out.control(Register(box))
        self._table.wake(self)

    def forward(self, box: bytes, data: bytes) -> None:
        """Pass a datagram on: to a box of a relay, or at a relay to the session that has the box."""
        if self.state is State.OPEN:
            self.machines.out.forward(box, data)
            self._table.wake(self)

    def offer(self, generation: int, addresses: tuple[Address, ...]) -> None:
        """Tell the peer where this end may be reached, instead of what it was told before."""
        self._require_open().offer(generation, addresses)
        self._table.wake(self)

    def punch(self, *, now: float) -> None:
        """Look for a direct path to the peer, if a relay or none carries the session; PathChanged tells of success."""
        self.machines.punch(self.peer_candidates, now=now)
        self._table.wake(self)

    @property
    def path_reason(self) -> Reason:
        """Why the session uses its path: a stable code that ``clawchat.nat.reasons`` explains."""
        return self.machines.reason

    def ping(self, token: int = 0) -> None:
        """Ask the peer to answer at once; PingAnswered with this token follows."""
        self._require_open()
        self.machines.out.ping(Question(token))
        self._table.wake(self)

    def rekey(self) -> None:
        """Change the keys now, or ask the client to, unless that is under way; KeysChanged follows."""
        self._require_open().rekeying.begin()
        self._table.wake(self)

    def nudge(self) -> None:
        """Show the peer our address at once, and probe without patience: the network changed."""
        if self.state in _TALKING:
            self.machines.nudge()
            self._table.wake(self)

    def close(self, code: int = CloseCode.NONE, reason: str = "", *, now: float, at_once: bool = False) -> None:
        """Close the session, once all that was written is acknowledged or FLUSH_TIMEOUT passed, or ``at_once``."""
        if self.state in _TALKING:
            self._close = (code, reason)
            self.state = advance(self.state, Trigger.CLOSE_ASKED)
            self._timers.set(Timer.HANDSHAKE, now + FLUSH_TIMEOUT)
            if at_once or self._flushed():
                self._begin_closing(Trigger.FLUSHED, now=now)
        elif self.state is State.HALF_OPEN:
            # the peer may have confirmed meanwhile, and should not wait for an answer in vain
            self._close = (code, reason)
            self._begin_closing(Trigger.CLOSE_ASKED, now=now)
        self._table.wake(self)

    def stats(self, *, now: float) -> SessionStats:
        """Return the session's figures."""
        return measure(self.machines, self._inbound, born=self._born, now=now)

    def _require_open(self) -> Machines:
        if self.state is not State.OPEN:
            raise UsageError(f"the session is {self.state}")
        return self.machines

    # --- life --------------------------------------------------------------------------------------

    def on_arrived(self, path: Path, *, probing: bool = False, now: float) -> None:
        """Note that authentic packets arrived by a path, which were but probes if ``probing``."""
        if self.state is State.HALF_OPEN and self.machines.may_open(path, probing=probing, now=now):
            # a probe by another path confirms as well, but is no move there
            self._confirm(self.path if probing else path, now=now)
        elif self.state is State.CLOSING:
            self._closing.on_late_packet()

    def on_acked(self, *, now: float) -> None:
        """Close once the last byte is acknowledged, if that is what is waited for."""
        if self.state is State.FLUSHING and self._flushed():
            self._begin_closing(Trigger.FLUSHED, now=now)

    def _flushed(self) -> bool:
        return self.machines.streams.flushed() and not self.machines.out.datagrams_wait

    def on_peer_closed(self, frame: Close) -> None:
        """End: the peer said so."""
        self._end(PeerClosed(frame.code, frame.reason), Trigger.PEER_CLOSED)

    def on_compromised(self, frame: CompromisedFrame | None, *, everything: bool = False) -> None:
        """End, and destroy the keys: the peer told us to, or this end does (None), with ``everything`` it has."""
        if frame is not None:
            everything = frame.scope is Scope.ALL
            self._table.emit(CompromisedHeard(self.id, everything))
        self._end(Compromised(told=frame is not None, everything=everything), Trigger.COMPROMISED)
        self.machines.rekeying.wipe()

    def on_violation(self, violation: ProtocolViolation, *, now: float) -> None:
        """Close: the peer broke a rule."""
        if self.state in _TALKING:
            self._close = (violation.code, violation.reason)
            self._begin_closing(Trigger.VIOLATED, now=now)

    def _confirm(self, path: Path, *, now: float) -> None:
        self.state = advance(self.state, Trigger.CONFIRMED)
        self._timers.clear(Timer.HANDSHAKE)
        self._timers.set(Timer.KEEPALIVE, self.machines.live.keepalive_at(now))
        identity = self.identity
        if identity.role is Role.RESPONDER:
            self._timers.set(Timer.DEAD_PEER, self.machines.live.dead_at())
            self._table.emit(SlotConfirmed(identity.slot_id, identity.id))
        else:
            self._timers.set(Timer.DEAD_PEER, now + CONFIRM_TIMEOUT)
            self.machines.out.ping(None)
        self._table.emit(SessionOpened(identity.id, identity.role, identity.slot_id, identity.words, path))
        self.punch(now=now)

    def _begin_closing(self, trigger: Trigger, *, now: float) -> None:
        untold = self.state in _TALKING
        self.state = advance(self.state, trigger)
        code, reason = self._close
        self._timers.clear_all()
        self._closing.begin(code, reason, probe_timeout=self.machines.recovery.rtt.pto(MAX_DELAY_ACK), now=now)
        if untold:
            self._table.emit(SessionEnded(self.id, LocallyClosed(reason or "this end closed the session")))

    def _end(self, error: SessionClosed, trigger: Trigger) -> None:
        untold = self.state in _TALKING or (self.state is State.HALF_OPEN and self.identity.role is Role.INITIATOR)
        self.state = advance(self.state, trigger)
        self._timers.clear_all()
        if untold:
            self._table.emit(SessionEnded(self.id, error))

    # --- time --------------------------------------------------------------------------------------

    def transmit(self, out: list[Transmit], *, now: float) -> None:
        """Append what may be sent now."""
        if self.state in _TALKING and self.machines.out.exhausted:
            self.on_violation(ProtocolViolation(CloseCode.KEY_EXHAUSTED, "the session's key is used up"), now=now)
        if self.state in _TALKING or (self.state is State.HALF_OPEN and self.machines.meeting is not None):
            self._timers.set(Timer.PACING, self.machines.transmit(out, now=now) or NEVER)
        elif self.state is State.HALF_OPEN and self.machines.punching is not None:
            self._timers.set(Timer.PACING, self.machines.punching.transmit_primes(out, now=now))
        elif self.state is State.CLOSING and self._closing.due:
            out.append(self.machines.out.seal_alone(self._closing.take(), self.path))

    def next_timeout(self) -> float:
        """Return the nearest deadline, NEVER if there is none."""
        if self.state is State.CLOSING:
            return self._closing.deadline
        deadline = self._timers.next()
        return min(deadline, self.machines.deadline()) if self.state in _TALKING else deadline

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due."""
        for timer in self._timers.expired(now=now):
            self._on_timer(timer, now=now)
        if self.state in _TALKING:
            try:
                self.machines.handle_timeout(now=now)
            except ProtocolViolation as violation:
                self.on_violation(violation, now=now)
        elif self.state is State.CLOSING and self._closing.deadline <= now and self._closing.on_timeout(now=now):
            self.state = advance(self.state, Trigger.LINGERED)

    def _on_timer(self, timer: Timer, *, now: float) -> None:
        live = self.machines.live
        match timer:  # PACING has no row: all it needs is the turn to send that follows every timeout
            case Timer.KEEPALIVE:
                due = live.keepalive_at(self.machines.out.sent_at)
                if due <= now:
                    live.on_keepalive()
                    self.machines.out.ping(None)
                    due = live.keepalive_at(now)
                self._timers.set(Timer.KEEPALIVE, due)
            case Timer.DEAD_PEER:
                due = live.dead_at()
                if not self._inbound.packets_received:
                    self._end(HandshakeFailed("the server let another one in, or nobody"), Trigger.TIMED_OUT)
                elif due <= now:
                    self._end(TimedOut(f"nothing was heard for {DEAD_PEER:.0f} s"), Trigger.TIMED_OUT)
                else:
                    self._timers.set(Timer.DEAD_PEER, due)
            case Timer.HANDSHAKE if self.state is State.HALF_OPEN:
                self._end(PathsExhausted("no path between the two ends was found"), Trigger.TIMED_OUT)
            case Timer.HANDSHAKE if self.state is State.FLUSHING:
                self._begin_closing(Trigger.FLUSHED, now=now)
