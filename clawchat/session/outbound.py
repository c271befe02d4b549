"""What a session sends: control first, then stream bytes, alone or as whole batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from clawchat.nat.mtu import MtuProber
from clawchat.nat.path import PATH_PACKET, PathFrame, PathMachine
from clawchat.session.contents import AckSent, ControlSent, PingSent, ProbeSent, Question
from clawchat.session.keys import SendKeys
from clawchat.transport.acks import AckMachine
from clawchat.transport.pacing import Pacer
from clawchat.transport.recovery import Recovery
from clawchat.transport.runs import SentRun, StreamRun
from clawchat.transport.streams import StreamTable
from clawchat.values.address import Path
from clawchat.values.limits import (
    MAX_DELAY_ACK,
    MAX_PACKET_NUMBER,
    MAX_PENDING_DATAGRAMS,
    MAX_PENDING_FORWARDS,
    OVERHEAD,
)
from clawchat.wire.frames import (
    DATAGRAM_HEADER,
    PING_FRAME,
    STREAM_HEADER,
    Datagram,
    Forward,
    Frame,
    encode,
    padded,
    stream_header,
)
from clawchat.wire.packet import BatchSealer, seal

MIN_STREAM_ROOM = 64
"""A STREAM frame is not worth starting in less room than this."""

FAREWELL_PACKETS = 1024
"""Packets of a key that are kept for CLOSE, and for what one turn sends before it is looked again."""

PACING_GRAIN = 0.0005
"""No pacing deadline is nearer than this, seconds: timers are coarser anyway."""

BATCHES_PER_TURN = 8
"""How many batches a session hands over at once, so that timers and other sessions stay alive."""


class Transmit(NamedTuple):
    """Datagrams for one path: ``data`` cut into ``size`` bytes each, the last perhaps shorter.

    ``ttl`` is the IP time to live, None for the system's. ``data`` may be a view that is valid until the
    endpoint is next asked for something to send.
    """

    data: bytes | memoryview
    size: int
    path: Path
    ttl: int | None = None


class Outbound:
    """Compose, seal and remember packets; the order of what they carry is decided here and nowhere else."""

    __slots__ = (
        "_acks",
        "_controls",
        "_datagrams",
        "_forwards",
        "_keys",
        "_paths",
        "_pings",
        "_sealer",
        "_streams",
        "bytes_sent",
        "mtu",
        "pacer",
        "packets_sent",
        "recovery",
        "sent_at",
    )

    def __init__(  # noqa: PLR0913 - the machines it takes frames from
        self,
        keys: SendKeys,
        streams: StreamTable,
        acks: AckMachine,
        paths: PathMachine,
        mtu: MtuProber,
        recovery: Recovery,
        pacer: Pacer,
        sealer: Callable[[int], BatchSealer],
        *,
        now: float,
    ) -> None:
        self._keys = keys
        self._streams = streams
        self._acks = acks
        self._paths = paths
        self._sealer = sealer
        # lists, since they are short and mostly empty, and an empty deque holds 600 bytes
        self._controls: list[bytes] = []
        self._datagrams: list[bytes] = []
        self._pings: list[Question | None] = []
        self._forwards: list[bytes] = []
        self.mtu = mtu
        self.recovery = recovery
        self.pacer = pacer
        self.sent_at = now
        self.packets_sent = 0
        self.bytes_sent = 0

    def control(self, frame: Frame) -> None:
        """Queue a control frame that must arrive."""
        self.control_again(encode(frame))

    def control_again(self, encoded: bytes) -> None:
        """Queue an encoded control frame, unless it waits already: each says how things are."""
        if encoded not in self._controls:
            self._controls.append(encoded)

    def ping(self, question: Question | None) -> None:
        """Queue a PING; the application waits for its answer if there is a question."""
        self._pings.append(question)

    def datagram(self, data: bytes) -> None:
        """Queue an unreliable message; the oldest makes room when too many wait."""
        if len(self._datagrams) >= MAX_PENDING_DATAGRAMS:
            self._datagrams.pop(0)
        self._datagrams.append(encode(Datagram(data)))

    @property
    def datagrams_wait(self) -> bool:
        """Tell whether there are unreliable messages that were not sent yet."""
        return bool(self._datagrams)

    @property
    def exhausted(self) -> bool:
        """Tell whether the key has sealed as many packets as it may, but for those that say goodbye."""
        return self._keys.left <= FAREWELL_PACKETS

    def forward(self, box: bytes, data: bytes) -> None:
        """Queue a datagram to be relayed; the oldest makes room when too many wait."""
        if len(self._forwards) >= MAX_PENDING_FORWARDS:
            self._forwards.pop(0)
        self._forwards.append(encode(Forward(box, data)))

    def max_datagram(self) -> int:
        """Return how many bytes one unreliable message may have on this path now."""
        return self.mtu.size - OVERHEAD - DATAGRAM_HEADER

    def transmit(self, out: list[Transmit], *, now: float) -> float:
        """Append what may be sent now; return when pacing allows more, 0 if nothing waits for it."""
        path = self._paths.current
        recovery, streams = self.recovery, self._streams
        if self._paths.waiting:
            self._send_path_frames(out, now=now)
        if self.mtu.probe_at <= now and recovery.rtt.sampled_at is not None:
            self._send_mtu_probe(out, now=now)
        while recovery.probes_due:
            self._send_single(out, path, now=now, force=True)
        if self._acks.deadline <= now:
            self._send_single(out, path, now=now)
        for _ in range(BATCHES_PER_TURN):
            ready = streams.ready_bytes()
            small = self._controls or self._datagrams or self._forwards or self._pings or streams.control_pending
            if not ready and not small:
                return 0.0
            size = self.mtu.size
            room = recovery.congestion.window - recovery.in_flight
            if room < size:
                return 0.0
            if not self.pacer.allows(size, now=now):
                return max(self.pacer.ready_at(size), now + PACING_GRAIN)
            if small or ready < 2 * size or room < 2 * size:
                if not self._send_single(out, path, now=now):
                    return 0.0
            else:
                self.mtu.hurry(now=now)
                self._send_bulk(out, path, room, now=now)
        return now

    def _send_bulk(self, out: list[Transmit], path: Path, room: int, *, now: float) -> None:
        """Send one stretch of one stream as a batch of full packets; what is left over goes in a small one."""
        keys = self._keys
        sealer = self._sealer(self.mtu.size)
        allowed = min(room, self.pacer.allowance(now=now)) // sealer.size
        run = self._streams.next_run(max(1, min(sealer.capacity, allowed, keys.left)) * sealer.chunk)
        if run is None:
            return
        full = run.length // sealer.chunk
        length = full * sealer.chunk
        if run.fin and length == run.length:
            full -= 1
            length -= sealer.chunk
        if full:
            number = keys.take(full)
            data = self._streams.view(run.stream, run.offset, length)
            sealed = sealer.seal_stream(keys.aead, keys.mask, keys.cid, number, run.stream, run.offset, data)
            bulk = StreamRun(run.stream, run.offset, length, fin=False)
            sent = SentRun(number & MAX_PACKET_NUMBER, full, now, sealer.size, chunk=sealer.chunk, run=bulk)
            self._remember(sent, now=now)
            out.append(Transmit(sealed, sealer.size, path))
        if length < run.length or run.fin:
            tail = StreamRun(run.stream, run.offset + length, run.length - length, run.fin)
            self._send_body(out, path, [self._stream_frame(tail)], (tail,), now=now)

    def _stream_frame(self, run: StreamRun) -> bytes:
        header = stream_header(run.stream, run.offset, run.length, fin=run.fin)
        return header + self._streams.view(run.stream, run.offset, run.length) if run.length else header

    def _send_single(self, out: list[Transmit], path: Path, *, now: float, force: bool = False) -> bool:
        """Send one packet of whatever waits; an ACK rides along. ``force`` sends a PING if nothing does."""
        room = self.mtu.size - OVERHEAD
        parts: list[bytes] = []
        records: list[object] = []
        if self._acks.waiting:
            largest = self._acks.largest
            parts.append(self._acks.frame(now=now))
            records.append(AckSent(largest))
            room -= len(parts[0])
        eliciting = False
        if force or self.recovery.in_flight + self.mtu.size <= self.recovery.congestion.window:
            room, eliciting = self._gather(parts, records, room, now=now)
        if force and not eliciting:
            parts.append(PING_FRAME)
            eliciting = True
        if not parts:
            return False
        self._send_body(out, path, parts, tuple(records), now=now, eliciting=eliciting)
        return True

    def _gather(self, parts: list[bytes], records: list[object], room: int, *, now: float) -> tuple[int, bool]:
        """Move waiting frames into a packet; return the room left and whether any wants an ACK."""
        before = len(parts)
        while self._pings and room > 0:
            parts.append(PING_FRAME)
            question = self._pings.pop(0)
            if question is not None:
                records.append(PingSent(question, now))
            room -= 1
        if self._streams.control_pending:
            self._streams.collect_controls(self._controls.append, now=now, rtt=self.recovery.rtt.minimum)
        while self._controls and len(self._controls[0]) <= room:
            frame = self._controls.pop(0)
            parts.append(frame)
            records.append(ControlSent(frame))
            room -= len(frame)
        for queue in (self._datagrams, self._forwards) if self._datagrams or self._forwards else ():
            most = self.mtu.size - OVERHEAD
            while queue and min(len(queue[0]), most) <= room:
                frame = queue.pop(0)
                if len(frame) <= most:
                    parts.append(frame)
                    room -= len(frame)
                else:  # the path has become too narrow for it, or is not known yet to be wide enough
                    self.mtu.hurry(now=now)
        while room >= MIN_STREAM_ROOM and self._streams.ready:
            run = self._streams.next_run(room - STREAM_HEADER)
            if run is None:
                break
            parts.append(self._stream_frame(run))
            records.append(run)
            room -= STREAM_HEADER + run.length
        return room, len(parts) > before

    def _send_body(  # noqa: PLR0913 - what a packet is made of
        self,
        out: list[Transmit],
        path: Path,
        parts: list[bytes],
        records: tuple[object, ...],
        *,
        now: float,
        eliciting: bool = True,
        probe: bool = False,
    ) -> None:
        body = padded(b"".join(parts))
        keys = self._keys
        number = keys.take(1)
        data = seal(keys.aead, keys.mask, keys.cid, number, body)
        sent = SentRun(number & MAX_PACKET_NUMBER, 1, now, len(data), eliciting=eliciting, frames=records, probe=probe)
        self._remember(sent, now=now)
        out.append(Transmit(data, len(data), path))

    def _remember(self, sent: SentRun, *, now: float) -> None:
        self.recovery.on_sent(sent)
        size = sent.size * sent.count
        if sent.eliciting and not sent.probe:
            self.pacer.spend(size)
        self.sent_at = now
        self.packets_sent += sent.count
        self.bytes_sent += size

    def _send_path_frames(self, out: list[Transmit], *, now: float) -> None:
        timeout = self.recovery.rtt.pto(MAX_DELAY_ACK)
        for item in self._paths.take(PATH_PACKET, now=now, timeout=timeout):
            self.send_alone(out, item, now=now)

    def send_alone(self, out: list[Transmit], item: PathFrame, *, now: float) -> None:
        """Send a frame in a packet of its own by its own path, whatever the windows of the path in use say."""
        sealed = self.seal_alone(item.frame, item.path, item.ttl)
        self.recovery.on_unasked((self._keys.number - 1) & MAX_PACKET_NUMBER)
        self.sent_at = now
        out.append(sealed)

    def _send_mtu_probe(self, out: list[Transmit], *, now: float) -> None:
        size = self.mtu.candidate
        self.mtu.on_sent(timeout=3 * self.recovery.rtt.pto(MAX_DELAY_ACK), now=now)
        body = [PING_FRAME, bytes(size - OVERHEAD - len(PING_FRAME))]
        self._send_body(out, self._paths.current, body, (ProbeSent(size, self._paths.current),), now=now, probe=True)

    def seal_alone(self, frame: bytes, path: Path, ttl: int | None = None) -> Transmit:
        """Seal a probe, or a last word, which is not remembered: it is repeated by its own rule, if at all."""
        keys = self._keys
        data = seal(keys.aead, keys.mask, keys.cid, keys.take(1), padded(frame))
        self.packets_sent += 1
        self.bytes_sent += len(data)
        return Transmit(data, len(data), path, ttl)
