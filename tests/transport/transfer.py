"""A bulk transfer over a simulated link, in virtual time: what the machines of this floor do together."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from clawchat.transport import (
    CongestionController,
    Cubic,
    Pacer,
    ReceiveStream,
    ReceiveWindow,
    Recovery,
    RttEstimator,
    SendStream,
    SendWindow,
    SentRun,
)
from clawchat.values.ranges import RangeSet

SIZE = 1200
CHUNK = 1152
BATCH = 54
ACK_DELAY = 0.025


@dataclass
class Link:
    """One direction: ``rate`` bytes a second into a queue of ``queue`` bytes, then ``delay`` seconds."""

    delay: float = 0.02
    rate: float = 1e9
    queue: int = 1 << 30
    loss: float = 0.0
    duplicate: float = 0.0
    jitter: float = 0.0
    down: tuple[float, float] = (0.0, 0.0)
    free_at: float = 0.0

    def arrivals(self, size: int, now: float, chance: random.Random) -> list[float]:
        if chance.random() < self.loss or self.down[0] <= now < self.down[1]:
            return []
        if (self.free_at - now) * self.rate > self.queue:
            return []
        self.free_at = max(self.free_at, now) + size / self.rate
        at = self.free_at + self.delay
        copies = 2 if chance.random() < self.duplicate else 1
        return [at + chance.random() * self.jitter for _ in range(copies)]


@dataclass
class Transfer:
    """Send ``data`` from one end to the other; ``source`` hands the application's bytes out over time."""

    data: bytes
    forward: Link = field(default_factory=Link)
    backward: Link = field(default_factory=Link)
    seed: int = 1
    congestion: CongestionController = field(default_factory=Cubic)
    rate_limit: float | None = None  # bytes a second that the application writes

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.now = 0.0
        self.rtt = RttEstimator()
        self.recovery = Recovery(self.rtt, self.congestion)
        self.pacer = Pacer(self.congestion, self.rtt)
        self.session_send = SendWindow(2 << 20)
        self.sender = SendStream(0, SendWindow(1 << 20), self.session_send)
        self.session_receive = ReceiveWindow(2 << 20, 16 << 20)
        self.receiver = ReceiveStream(ReceiveWindow(1 << 20, 8 << 20), self.session_receive)
        self.received = bytearray()
        self.numbers = RangeSet()
        self.largest_at = 0.0
        self.unreported = 0
        self.written = 0
        self.sent_packets = 0
        self.late_packets = 0
        self.max_window = 0
        self.done_at: float | None = None
        self._order = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ack_at: float | None = None
        self._wake_at: float | None = None

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (when, next(self._order), action))

    def run(self, until: float) -> Transfer:
        self._send()
        while self._events and self.done_at is None:
            when, _, action = heapq.heappop(self._events)
            if when > until:
                break
            assert when >= self.now
            self.now = when
            action()
        return self

    # --- the sending end ---

    def _write(self) -> None:
        ready = len(self.data) if self.rate_limit is None else min(len(self.data), int(self.now * self.rate_limit) + 1)
        room = max(0, (2 << 20) - self.sender.buffered)
        stop = min(ready, self.written + room)
        if not self.sender.ended and (stop > self.written or stop == len(self.data)):
            self.sender.write(self.data[self.written : stop], fin=stop == len(self.data))
            self.written = stop

    def _send(self) -> None:
        self._write()
        now, recovery = self.now, self.recovery
        for piece in recovery.probe_pieces():
            if piece.run is not None:
                self.sender.on_lost(piece.run)
        for _ in range(10_000):
            allowed = min(recovery.congestion.window - recovery.in_flight, self.pacer.allowance(now=now))
            packets = min(allowed // SIZE, BATCH)
            if recovery.probes_due:
                packets = 1
            if packets < 1:
                break
            run = self.sender.next_run(packets * CHUNK)
            if run is None and not recovery.probes_due:
                break
            chunks = 1 if run is None else max(1, -(-run.length // CHUNK))
            first = recovery.next_number
            recovery.on_sent(SentRun(first, chunks, now, SIZE, chunk=CHUNK, run=run))
            self.pacer.spend(chunks * SIZE)
            self.sent_packets += chunks
            for i in range(chunks):
                arrivals = self.forward.arrivals(SIZE, now, self.chance)
                if run is None:
                    part = (0, b"", False)
                else:
                    offset = run.offset + i * CHUNK
                    length = min(CHUNK, run.offset + run.length - offset)
                    part = (offset, bytes(self.sender.view(offset, length)), run.fin and i == chunks - 1)
                for when in arrivals:
                    self.at(when, lambda number=first + i, part=part: self._on_packet(number, *part))  # type: ignore[misc]
        else:
            raise AssertionError("the sender never stops")
        self.max_window = max(self.max_window, recovery.congestion.window)
        self._arm()

    def _arm(self) -> None:
        times = [self.recovery.deadline()]
        if self.sender.ready_bytes() and self.recovery.congestion.window - self.recovery.in_flight >= SIZE:
            times.append(max(self.pacer.ready_at(SIZE), self.now + 1e-6))
        if self.rate_limit is not None and not self.sender.ended:
            times.append(self.now + 0.005)
        wanted = [when for when in times if when is not None]
        if wanted and (self._wake_at is None or min(wanted) < self._wake_at):
            when = self._wake_at = max(min(wanted), self.now)
            self.at(when, lambda: self._on_wake(when))

    def _on_wake(self, when: float) -> None:
        if when != self._wake_at:
            return
        self._wake_at = None
        for lost in self.recovery.on_timeout(now=self.now):
            if lost.run is not None:
                self.sender.on_lost(lost.run)
        self._send()

    def _on_ack(self, ranges: list[tuple[int, int]], delay: float, limits: tuple[int, int]) -> None:
        self.sender.window.raise_to(limits[0])
        self.session_send.raise_to(limits[1])
        outcome = self.recovery.on_ack(ranges, delay, now=self.now)
        for run in outcome.acked + outcome.late:
            if run.run is not None:
                self.sender.on_acked(run.run)
        self.late_packets += sum(run.count for run in outcome.late)
        for run in outcome.lost:
            if run.run is not None:
                self.sender.on_lost(run.run)
        if self.sender.finished:
            self.done_at = self.now
            return
        self._send()

    # --- the receiving end ---

    def _on_packet(self, number: int, offset: int, data: bytes, fin: bool) -> None:  # noqa: FBT001 - as given
        if number in self.numbers:
            return
        reordered = number != (self.numbers.last(1)[0][1] if self.numbers else 0)
        self.numbers.add(number, number + 1)
        if self.numbers.last(1)[0][1] == number + 1:
            self.largest_at = self.now
        self.receiver.receive(offset, data, fin=fin)
        self.received += self.receiver.read()
        self.unreported += 1
        if reordered or self.unreported >= 2:
            self._ack()
        elif self._ack_at is None:
            self._ack_at = self.now + ACK_DELAY
            self.at(self._ack_at, self._on_ack_timer)

    def _on_ack_timer(self) -> None:
        self._ack_at = None
        if self.unreported:
            self._ack()

    def _ack(self) -> None:
        self.unreported = 0
        for window in (self.receiver.window, self.session_receive):
            if window.due:
                window.advance(now=self.now, rtt=2 * self.forward.delay)
        ranges = [(start, stop - 1) for start, stop in self.numbers.last(32)]
        limits = (self.receiver.window.limit, self.session_receive.limit)
        delay = self.now - self.largest_at
        for when in self.backward.arrivals(60, self.now, self.chance):
            self.at(when, lambda: self._on_ack(ranges, delay, limits))
