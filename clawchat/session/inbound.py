"""What packets do to a session: each is opened, and each frame handed to the machine that owns it."""

from __future__ import annotations

# ruff: noqa: SLF001 - the table _HANDLERS is the class's own; it stands below it because it names its methods
from collections.abc import Callable
from typing import Any, Final, Protocol

from clawchat.session.keys import PACKET_NUMBER_BITS, ReceiveKeys
from clawchat.session.machines import Machines
from clawchat.session.state import State
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram, ProtocolViolation
from clawchat.values.events import BoxRegistered, DatagramReceived, Event, ForwardReceived
from clawchat.values.limits import SILENCE
from clawchat.wire.decoding import decode
from clawchat.wire.frames import (
    PROBING,
    Ack,
    Candidates,
    Close,
    Datagram,
    Forward,
    Frame,
    MaxData,
    MaxStreamData,
    MaxStreams,
    Padding,
    PathChallenge,
    PathResponse,
    Ping,
    Punch,
    Register,
    Reset,
    Stop,
    Stream,
)
from clawchat.wire.packet import BatchOpener, Run, split_number, unseal
from clawchat.wire.rotation import Compromised, MovePort, Rekey1, Rekey2, RekeyPlease

_PACKET_NUMBER: Final = (1 << PACKET_NUMBER_BITS) - 1
_SILENT_FRAMES: Final = (Ack, Padding, Close)
"""Frames that ask for no acknowledgement (RFC 9002 section 2)."""


class Owner(Protocol):
    """The session, as its inbound half sees it."""

    state: State
    peer_candidates: tuple[Address, ...]
    observed: Address | None

    @property
    def id(self) -> int:
        """The number that events carry."""

    def on_arrived(self, path: Path, *, probing: bool = False, now: float) -> None:
        """Note that authentic packets arrived by a path, which were but probes if ``probing``."""

    def on_acked(self, *, now: float) -> None:
        """Note that the peer acknowledged something."""

    def on_peer_closed(self, frame: Close) -> None:
        """End the session: the peer said so."""

    def on_violation(self, violation: ProtocolViolation, *, now: float) -> None:
        """Close the session: the peer broke a rule."""

    def on_compromised(self, frame: Compromised) -> None:
        """Destroy the session's keys and answer nothing: the peer declared them compromised."""


class Inbound:
    """Open packets, alone or in batches, and dispatch their frames by the table ``_HANDLERS``."""

    __slots__ = ("_emit", "_keys", "_machines", "_owner", "bytes_received", "packets_received")

    def __init__(self, keys: ReceiveKeys, machines: Machines, owner: Owner, emit: Callable[[Event], None]) -> None:
        self._keys = keys
        self._machines = machines
        self._owner = owner
        self._emit = emit
        self.bytes_received = 0
        self.packets_received = 0

    def receive_one(self, header: bytes, packet: memoryview, path: Path, *, now: float) -> None:
        """Take one packet whose plain header named this session. Raises BadDatagram."""
        number = split_number(header)
        epoch = number >> PACKET_NUMBER_BITS
        aead = self._keys.epochs.get(epoch)
        if aead is None:
            raise BadDatagram("epoch")
        number &= _PACKET_NUMBER
        replay = self._keys.replay
        if not replay.check(number):
            raise BadDatagram("replay")
        body = unseal(aead, header, packet)
        probing = body[0] in PROBING
        newest = number > replay.top and not probing
        replay.mark(number)
        if epoch > self._keys.heard:
            self._machines.on_heard(epoch, now=now)
        self._arrived(len(packet), 1, path, newest=newest, probing=probing, now=now)
        self._take_body(body, number, path, now=now)

    def receive_run(self, batch: BatchOpener, run: Run, path: Path, *, now: float) -> bool:
        """Take a run of a loaded batch at once; False if its packets have to be taken one by one."""
        epoch = run.number >> PACKET_NUMBER_BITS
        aead = self._keys.epochs.get(epoch)
        first = run.number & _PACKET_NUMBER
        replay = self._keys.replay
        if aead is None or not replay.check_run(first, run.length) or not batch.open(aead, run):
            return False
        replay.mark_run(first, run.length)
        if epoch > self._keys.heard:
            self._machines.on_heard(epoch, now=now)
        self._arrived(batch.size * run.length, run.length, path, newest=True, probing=False, now=now)
        stretch = batch.stream(run) if self._owner.state in _LIVE else None
        if stretch is None:
            for index in range(run.length):
                self._take_body(batch.body(run.start + index), first + index, path, now=now)
            return True
        self._machines.acks.on_received(first, run.length, eliciting=True, now=now)
        stream, offset, data = stretch
        try:
            self._machines.streams.on_data(stream, offset, data, fin=False)
        except ProtocolViolation as violation:
            self._owner.on_violation(violation, now=now)
        return True

    def _arrived(  # noqa: PLR0913 - what is known of packets before their frames are looked at
        self, size: int, packets: int, path: Path, *, newest: bool, probing: bool, now: float
    ) -> None:
        self.bytes_received += size
        self.packets_received += packets
        machines = self._machines
        if now - machines.live.heard_at > SILENCE and machines.recovery.pto_count:
            machines.nudge()
        machines.live.heard_at = now
        self._owner.on_arrived(path, probing=probing, now=now)
        if newest:
            if machines.paths.on_newest(path, size, now=now):
                machines.on_followed(now=now)
            if machines.punching is not None:
                machines.punching.on_heard(packets, path, now=now)

    def _take_body(self, body: bytes, number: int, path: Path, *, now: float) -> None:
        owner = self._owner
        eliciting = False
        try:
            for frame in decode(body):
                handler, states = _HANDLERS[type(frame)]
                if not isinstance(frame, _SILENT_FRAMES):
                    eliciting = True
                if owner.state in states:
                    handler(self, frame, path, now)
        except ProtocolViolation as violation:
            owner.on_violation(violation, now=now)
        self._machines.acks.on_received(number, 1, eliciting=eliciting, now=now)

    def _on_padding(self, _frame: Padding, _path: Path, _now: float) -> None:
        """Take note of nothing: padding has no meaning."""

    def _on_compromised(self, frame: Compromised, _path: Path, _now: float) -> None:
        self._owner.on_compromised(frame)

    def _on_ping(self, _frame: Ping, _path: Path, now: float) -> None:
        self._machines.acks.deadline = now

    def _on_ack(self, frame: Ack, _path: Path, now: float) -> None:
        self._machines.on_ack(frame, now=now)
        self._owner.on_acked(now=now)

    def _on_stream(self, frame: Stream, _path: Path, _now: float) -> None:
        self._machines.streams.on_data(frame.stream, frame.offset, frame.data, fin=frame.fin)

    def _on_stream_control(
        self, frame: Reset | Stop | MaxData | MaxStreamData | MaxStreams, _path: Path, _now: float
    ) -> None:
        self._machines.streams.on_control(frame)

    def _on_datagram(self, frame: Datagram, _path: Path, _now: float) -> None:
        self._emit(DatagramReceived(self._owner.id, frame.data))

    def _on_close(self, frame: Close, _path: Path, _now: float) -> None:
        self._owner.on_peer_closed(frame)

    def _on_path_challenge(self, frame: PathChallenge, path: Path, now: float) -> None:
        self._machines.on_challenge(frame, path, now=now)

    def _on_path_response(self, frame: PathResponse, path: Path, now: float) -> None:
        if not path.relayed and (path.port == self._machines.paths.current.port or self._machines.survey is None):
            self._owner.observed = frame.observed
            self._machines.on_seen(path, frame.observed, now=now)
        if self._machines.on_response(frame, now=now):
            self._owner.on_arrived(self._machines.paths.current, now=now)

    def _on_candidates(self, frame: Candidates, _path: Path, now: float) -> None:
        self._owner.peer_candidates = frame.addresses
        if self._machines.punching is not None:
            self._machines.punching.on_candidates(frame, now=now)

    def _on_punch(self, frame: Punch, path: Path, now: float) -> None:
        if self._machines.punching is not None:
            self._machines.punching.on_punch(frame, path, now=now)

    def _on_register(self, frame: Register, _path: Path, _now: float) -> None:
        self._emit(BoxRegistered(self._owner.id, frame.box))

    def _on_forward(self, frame: Forward, _path: Path, _now: float) -> None:
        self._emit(ForwardReceived(self._owner.id, frame.box, frame.data))

    def _on_move_port(self, frame: MovePort, _path: Path, now: float) -> None:
        self._machines.hopping.on_announced(frame, self._machines.paths, now=now)

    def _on_rekey_offer(self, frame: Rekey1, _path: Path, _now: float) -> None:
        self._machines.rekeying.on_offer(frame)

    def _on_rekey_answer(self, frame: Rekey2, _path: Path, now: float) -> None:
        self._machines.on_rekey_answer(frame, now=now)

    def _on_rekey_please(self, frame: RekeyPlease, _path: Path, _now: float) -> None:
        self._machines.rekeying.on_please(frame)


_LIVE: Final = frozenset({State.OPEN, State.FLUSHING})
_LIVE_OR_CLOSING: Final = _LIVE | {State.CLOSING}
_MEETING_OR_LIVE: Final = _LIVE | {State.HALF_OPEN}

# The handler of each row takes that row's frame; a dict can't say so to a type checker.
_Handler = Callable[[Inbound, Any, Path, float], None]
_HANDLERS: Final[dict[type[Frame], tuple[_Handler, frozenset[State]]]] = {
    Padding: (Inbound._on_padding, _LIVE),
    Ping: (Inbound._on_ping, _LIVE),
    Ack: (Inbound._on_ack, _LIVE),
    Stream: (Inbound._on_stream, _LIVE),
    Reset: (Inbound._on_stream_control, _LIVE),
    Stop: (Inbound._on_stream_control, _LIVE),
    MaxData: (Inbound._on_stream_control, _LIVE),
    MaxStreamData: (Inbound._on_stream_control, _LIVE),
    MaxStreams: (Inbound._on_stream_control, _LIVE),
    Datagram: (Inbound._on_datagram, _LIVE),
    Close: (Inbound._on_close, _LIVE_OR_CLOSING),
    PathChallenge: (Inbound._on_path_challenge, _MEETING_OR_LIVE),
    PathResponse: (Inbound._on_path_response, _MEETING_OR_LIVE),
    Candidates: (Inbound._on_candidates, _LIVE),
    Punch: (Inbound._on_punch, _LIVE),
    Register: (Inbound._on_register, _LIVE),
    Forward: (Inbound._on_forward, _LIVE),
    Rekey1: (Inbound._on_rekey_offer, _LIVE),
    Rekey2: (Inbound._on_rekey_answer, _LIVE),
    RekeyPlease: (Inbound._on_rekey_please, _LIVE),
    MovePort: (Inbound._on_move_port, _LIVE),
    Compromised: (Inbound._on_compromised, _LIVE_OR_CLOSING),
}
"""Which method takes a frame, and in which states it is heard; elsewhere it is ignored."""
