"""Loss detection (RFC 9002 sections 5 and 6, appendix A) over runs of packets.

One ``Recovery`` serves the one packet number sequence of a session's sending direction. It feeds the path's
round-trip time and congestion controller itself. Packets declared lost are remembered for a while: an
acknowledgement that still comes for them is *late*, which stops their retransmission, takes back the
congestion response and makes loss detection more patient (RFC 9002 section 6.1.1 allows that).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from clawchat.transport.congestion import CongestionController
from clawchat.transport.rtt import GRANULARITY, RttEstimator
from clawchat.transport.runs import RunList, SentRun
from clawchat.values.errors import ProtocolViolation, UsageError
from clawchat.values.limits import MAX_DATAGRAM, MAX_DELAY_ACK
from clawchat.wire.frames import CloseCode

PACKET_THRESHOLD: Final = 3
"""A packet is lost when one sent this many packets later is acknowledged (RFC 9002 section 6.1.1)."""

MAX_PACKET_THRESHOLD: Final = 128
"""Late acknowledgements raise the packet threshold no higher: two batches out of order."""

TIME_SLACK: Final = 1 / 8
"""A packet is lost this share of a round trip after it should have been acknowledged (RFC 9002 section 6.1.2)."""

MAX_TIME_SLACK: Final = 1.0
"""Late acknowledgements raise the time slack no higher (RFC 8985 section 6.2: at most one round trip)."""

PERSISTENT_PTOS: Final = 3
"""Everything lost for this many probe timeouts is persistent congestion (RFC 9002 section 7.6.1)."""

PROBES: Final = 2
"""How many packets a probe timeout sends, so that one loss does not cost another timeout (RFC 9002 section 6.2.4)."""

MAX_PROBE_WAIT: Final = 2.0
"""Backoff stops here, seconds: a session resumes this soon after a network returns."""

MAX_REMEMBERED: Final = 1024
"""How many lost runs are remembered for acknowledgements that come late."""

REMEMBERED_PTOS: Final = 3
"""For how many probe timeouts after the last loss the lost runs are remembered."""

_MAX_BACKOFF: Final = 16  # doublings; far beyond where MAX_PROBE_WAIT ends them


class Outcome(NamedTuple):
    """What an ACK settled, each in ascending order: ``late`` was declared lost before but did arrive."""

    acked: list[SentRun]
    lost: list[SentRun]
    late: list[SentRun]


class Recovery:
    """Account for every packet sent until it is acknowledged or lost.

    ``in_flight`` is the bytes sent on the current path of which neither is known. ``probes_due`` is how
    many packets the session should send now whatever the congestion window says; ``on_sent`` counts it
    down. Packets that elicit no acknowledgement are not remembered and never reported.
    """

    __slots__ = (
        "_armed_at",
        "_largest_acked",
        "_loss_at",
        "_lost",
        "_lost_until",
        "_max_ack_delay",
        "_packet_threshold",
        "_path_first",
        "_peak",
        "_peak_before",
        "_round_end",
        "_sent",
        "_settled",
        "_time_slack",
        "congestion",
        "in_flight",
        "next_number",
        "packets_lost",
        "packets_sent",
        "probes_due",
        "pto_count",
        "rtt",
    )

    def __init__(
        self, rtt: RttEstimator, congestion: CongestionController, *, max_ack_delay: float = MAX_DELAY_ACK
    ) -> None:
        self.next_number = 0  # every number below it has been used or skipped
        self.packets_sent = 0  # those that elicit acknowledgements
        self.packets_lost = 0  # less those that turned out to be late, and no MTU probes
        self._max_ack_delay = max_ack_delay
        self._sent = RunList()
        self._lost = RunList()
        self._lost_until = 0.0
        self._settled: set[tuple[int, int]] = set()  # ranges of an earlier ACK
        self._largest_acked = -1
        self._armed_at = 0.0
        self.restart(rtt, congestion)

    def restart(self, rtt: RttEstimator, congestion: CongestionController) -> None:
        """Begin to measure a new path (RFC 9000 section 9.4).

        Packets sent before stay accounted for, but tell nothing about this path and fill no window.
        """
        self.rtt = rtt
        self.congestion = congestion
        self.in_flight = 0
        self.pto_count = 0
        self.probes_due = 0
        self._path_first = self.next_number
        self._packet_threshold = PACKET_THRESHOLD
        self._time_slack = TIME_SLACK
        self._loss_at: float | None = None
        # How full the window has been in this round trip and in the one before it.
        self._peak = self._peak_before = 0
        self._round_end = self.next_number

    # --- sending ---------------------------------------------------------------------------------

    def on_sent(self, run: SentRun) -> None:
        """Account for packets just sent; their numbers must be higher than all before."""
        if run.first < self.next_number:
            raise UsageError(f"packet number {run.first} was already used")
        self.next_number = run.stop
        if not run.eliciting:
            return
        self.packets_sent += run.count
        self._sent.append(run)
        self._armed_at = run.sent_at
        self.in_flight = in_flight = self.in_flight + run.count * run.size
        self._peak = max(self._peak, in_flight)
        if self.probes_due:
            self.probes_due -= 1

    def on_unasked(self, number: int) -> None:
        """Account for a packet just sent that nobody acknowledges and nothing repeats."""
        self.next_number = number + 1

    def probe_pieces(self) -> list[SentRun]:
        """Return the oldest unacknowledged packets, at most ``probes_due``: what probes should carry again.

        They stay outstanding. Their stream bytes and frames should be sent as if they had been lost.
        """
        pieces: list[SentRun] = []
        for run in self._sent:
            rest = run
            while len(pieces) < self.probes_due and not run.probe:
                if rest.count == 1:
                    pieces.append(rest)
                    break
                piece, rest = rest.split(rest.first + 1)
                pieces.append(piece)
            if len(pieces) >= self.probes_due:
                break
        return pieces

    # --- acknowledgements ------------------------------------------------------------------------

    def on_ack(self, ranges: Sequence[tuple[int, int]], delay: float, *, now: float) -> Outcome:
        """Take an ACK of inclusive ranges of packet numbers, the highest first; ``delay`` in seconds.

        Raises ProtocolViolation, and changes nothing, when it acknowledges a number never sent.
        """
        largest = ranges[0][1]
        if largest >= self.next_number:
            raise ProtocolViolation(CloseCode.ACK_UNSENT, f"packet {largest} was never sent")
        fresh = ranges if len(ranges) == 1 else self._fresh(ranges)
        acked: list[SentRun] = []
        for low, high in fresh:
            acked[:0] = self._sent.take(low, high)
        self._largest_acked = max(self._largest_acked, largest)
        if acked:
            newest = acked[-1]
            if newest.stop == largest + 1 and newest.first >= self._path_first:
                self.rtt.update(now - newest.sent_at, min(delay, self._max_ack_delay), now=now)
            self._on_acked(acked, now)
        late = self._take_late(fresh, now) if self._lost else []
        return Outcome(acked, self._detect(now), late)

    def _fresh(self, ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Leave out the ranges that were settled before: ACKs repeat them, mostly only the newest one grows."""
        settled = self._settled
        fresh = [span for span in ranges if span not in settled]
        if len(fresh) > 1:
            self._settled = set(ranges)
        return fresh

    def _on_acked(self, acked: list[SentRun], now: float) -> None:
        self.pto_count = self.probes_due = 0
        size = 0
        for run in acked:
            if run.first >= self._path_first:
                size += run.count * run.size
        if not size:
            return
        congestion = self.congestion
        window = congestion.window
        used = max(self._peak, self._peak_before)
        # A window that was not used says nothing about what the path can carry (RFC 9002 section 7.8).
        # In slow start half of it will do, since it doubles; later an eighth may be missing.
        enough = window >> 1 if congestion.in_slow_start else window - max(window >> 3, MAX_DATAGRAM)
        app_limited = used < enough
        congestion.on_acked(size, acked[-1].sent_at, now=now, rtt=self.rtt, app_limited=app_limited)
        self.in_flight -= size
        if self._largest_acked >= self._round_end:
            self._round_end = self.next_number
            self._peak_before = self._peak
            self._peak = self.in_flight

    def _take_late(self, ranges: Sequence[tuple[int, int]], now: float) -> list[SentRun]:
        if now > self._lost_until:
            self._lost = RunList()
            return []
        late: list[SentRun] = []
        for low, high in ranges:
            late[:0] = self._lost.take(low, high)
        if late:
            self.pto_count = self.probes_due = 0
            self.packets_lost -= sum([run.count for run in late if not run.probe])
        here = [run for run in late if run.first >= self._path_first]
        for run in here:
            if not run.probe:
                self.congestion.on_spurious_loss(run.count * run.size, run.sent_at)
        if here:
            self._be_patient(self._largest_acked - here[0].first)
        return late

    def _be_patient(self, distance: int) -> None:
        """Learn from a packet that ``distance`` later ones overtook."""
        if distance >= self._packet_threshold:
            self._packet_threshold = min(distance + 1, MAX_PACKET_THRESHOLD)
        else:
            self._time_slack = min(2 * self._time_slack, MAX_TIME_SLACK)

    # --- loss ------------------------------------------------------------------------------------

    def _detect(self, now: float) -> list[SentRun]:
        """Remove what is lost; a lost packet makes every outstanding one below it lost too."""
        self._loss_at = None
        sent = self._sent
        candidates = sent.below(self._largest_acked)
        if not candidates:
            return []
        wait = max((1 + self._time_slack) * max(self.rtt.latest, self.rtt.smoothed), GRANULARITY)
        lost_below = self._largest_acked - self._packet_threshold + 1
        whole = 0
        for run in sent:
            if whole == candidates or (run.stop > lost_below and run.sent_at + wait > now):
                break
            whole += 1
        lost = sent.take_front(whole)
        if whole < candidates:
            first = sent[0]
            if first.first < lost_below:
                lost += sent.take(first.first, lost_below - 1)
            self._loss_at = first.sent_at + wait
        if lost:
            self._on_lost(lost, now)
        return lost

    def _on_lost(self, lost: list[SentRun], now: float) -> None:
        self._remember(lost, now)
        here = [run for run in lost if run.first >= self._path_first]
        self.in_flight -= sum([run.count * run.size for run in here])
        # A lost MTU probe says that it was too large, not that the path is full (RFC 8899 section 3, point 7).
        here = [run for run in here if not run.probe]
        if here:
            self.congestion.on_lost(sum([run.count * run.size for run in here]), here[-1].sent_at, now=now)
            if self._is_persistent(here):
                self.congestion.on_persistent_congestion()
                self.rtt.minimum = self.rtt.latest

    def _remember(self, lost: list[SentRun], now: float) -> None:
        self.packets_lost += sum([run.count for run in lost if not run.probe])
        self._lost.extend(lost)
        self._lost.take_front(max(0, len(self._lost) - MAX_REMEMBERED))
        self._lost_until = now + REMEMBERED_PTOS * self.rtt.pto(self._max_ack_delay)

    def _is_persistent(self, lost: list[SentRun]) -> bool:
        """Tell whether packets without an acknowledged one between span the duration of RFC 9002 section 7.6.1."""
        sampled_at = self.rtt.sampled_at
        duration = PERSISTENT_PTOS * self.rtt.pto(self._max_ack_delay)
        if sampled_at is None or lost[-1].sent_at - lost[0].sent_at <= duration:
            return False
        expected, began = -1, 0.0
        for run in lost:
            if run.first != expected or began < sampled_at:
                began = run.sent_at
            expected = run.stop
            if began >= sampled_at and run.sent_at - began > duration:
                return True
        return False

    def forget_all(self) -> list[SentRun]:
        """Give up everything outstanding and return it to be sent anew.

        It counts as lost, but not through congestion: what becomes of it tells nothing about the path.
        """
        outstanding = self._sent.take_front(len(self._sent))
        self._remember(outstanding, self._armed_at)
        self.in_flight = 0
        self._loss_at = None
        self._path_first = self.next_number
        return outstanding

    # --- time ------------------------------------------------------------------------------------

    def deadline(self) -> float | None:
        """Return when ``on_timeout`` is due: the loss timer, else the probe timer, None with nothing outstanding."""
        if self._loss_at is not None:
            return self._loss_at
        if not self._sent:
            return None
        wait = self.rtt.pto(self._max_ack_delay)
        if self.pto_count:
            backed_off = wait * (1 << min(self.pto_count, _MAX_BACKOFF))
            wait = max(wait, min(backed_off, MAX_PROBE_WAIT))
        return self._armed_at + wait

    def on_timeout(self, *, now: float) -> list[SentRun]:
        """Handle a deadline that has passed; return what is lost by time, or else set ``probes_due``."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        if self._loss_at is not None:
            return self._detect(now)
        self.pto_count += 1
        self.probes_due = PROBES
        self._armed_at = now
        return []
