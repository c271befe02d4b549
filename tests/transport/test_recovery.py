from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawchat.transport import NewReno, Outcome, Recovery, RttEstimator, SentRun, StreamRun
from clawchat.transport.recovery import MAX_PROBE_WAIT, PACKET_THRESHOLD, PROBES
from clawchat.transport.rtt import GRANULARITY
from clawchat.values.errors import ProtocolViolation, UsageError
from clawchat.values.ranges import RangeSet
from clawchat.wire.frames import CloseCode

SIZE = 1000
MAX_ACK_DELAY = 0.025


def fresh(rtt: float = 0.1) -> Recovery:
    """Make a recovery that has measured its path."""
    estimator = RttEstimator()
    for turn in range(100):
        estimator.update(rtt, 0.0, now=-100.0 + turn)
    return Recovery(estimator, NewReno(SIZE), max_ack_delay=MAX_ACK_DELAY)


def send(recovery: Recovery, count: int, now: float, *, probe: bool = False, eliciting: bool = True) -> SentRun:
    first = recovery.next_number
    stream = StreamRun(0, first * 10, count * 10, fin=False)
    run = SentRun(first, count, now, SIZE, chunk=10, run=stream, probe=probe, eliciting=eliciting)
    recovery.on_sent(run)
    return run


def numbers(runs: list[SentRun]) -> list[int]:
    return [number for run in runs for number in range(run.first, run.stop)]


# --- acknowledgements ---------------------------------------------------------------------------------


def test_an_ack_of_many_batches_returns_the_runs_themselves() -> None:
    recovery = fresh()
    runs = [send(recovery, 50, now) for now in (0.0, 0.001, 0.002)]
    assert recovery.in_flight == 150 * SIZE
    assert recovery.on_ack([(0, 149)], 0.0, now=0.1) == Outcome(runs, [], [])
    assert recovery.in_flight == 0
    assert recovery.deadline() is None


def test_an_ack_cuts_a_run_where_it_ends() -> None:
    recovery = fresh()
    send(recovery, 50, 0.0)
    outcome = recovery.on_ack([(0, 19)], 0.0, now=0.1)
    assert [run.run for run in outcome.acked] == [StreamRun(0, 0, 200, fin=False)]
    assert recovery.in_flight == 30 * SIZE


def test_an_ack_seen_twice_changes_nothing() -> None:
    recovery = fresh()
    send(recovery, 50, 0.0)
    recovery.on_ack([(0, 19)], 0.0, now=0.1)
    smoothed = recovery.rtt.smoothed
    assert recovery.on_ack([(0, 19)], 0.0, now=0.3) == Outcome([], [], [])
    assert recovery.rtt.smoothed == smoothed


def test_an_ack_of_a_number_never_sent_is_a_violation_and_changes_nothing() -> None:
    recovery = fresh()
    send(recovery, 5, 0.0)
    with pytest.raises(ProtocolViolation) as violation:
        recovery.on_ack([(0, 5)], 0.0, now=0.1)
    assert violation.value.code == CloseCode.ACK_UNSENT
    assert recovery.in_flight == 5 * SIZE


def test_a_number_is_used_once() -> None:
    recovery = fresh()
    send(recovery, 5, 0.0)
    with pytest.raises(UsageError):
        recovery.on_sent(SentRun(4, 1, 0.0, SIZE))


def test_packets_that_elicit_nothing_are_not_waited_for() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0, eliciting=False)
    assert recovery.in_flight == 0
    assert recovery.deadline() is None
    assert recovery.on_ack([(0, 0)], 0.0, now=0.1) == Outcome([], [], [])


def test_the_round_trip_is_measured_on_the_largest_number_only() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0)
    send(recovery, 1, 1.0)
    recovery.on_ack([(1, 1)], 0.0, now=1.2)
    assert recovery.rtt.latest == pytest.approx(0.2)
    recovery.on_ack([(0, 1)], 0.0, now=9.0)
    assert recovery.rtt.latest == pytest.approx(0.2)


def test_the_peers_delay_is_believed_up_to_the_agreed_maximum() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0)
    recovery.on_ack([(0, 0)], 5.0, now=0.2)
    assert recovery.rtt.smoothed == pytest.approx(0.1 + (0.2 - MAX_ACK_DELAY - 0.1) / 8)


# --- loss ---------------------------------------------------------------------------------------------


def test_three_later_packets_make_a_loss() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    outcome = recovery.on_ack([(5, 5)], 0.0, now=0.1)
    assert numbers(outcome.lost) == [0, 1, 2]
    assert [run.run for run in outcome.lost] == [StreamRun(0, 0, 30, fin=False)]
    assert recovery.in_flight == 6 * SIZE


def test_what_was_overtaken_by_less_is_lost_after_a_while() -> None:
    recovery = fresh()
    send(recovery, 3, 0.0)
    assert recovery.on_ack([(2, 2)], 0.0, now=0.1).lost == []
    deadline = recovery.deadline()
    assert deadline == pytest.approx(0.1 * 9 / 8)
    assert deadline is not None
    assert recovery.on_timeout(now=deadline - 0.001) == []
    assert numbers(recovery.on_timeout(now=deadline)) == [0, 1]
    assert recovery.deadline() is None


def test_nothing_above_the_largest_acknowledged_is_lost() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    assert recovery.on_ack([(0, 2)], 0.0, now=5.0).lost == []


def test_a_loss_reduces_the_window_and_an_mtu_probe_does_not() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0, probe=True)
    send(recovery, 5, 0.0)
    window = recovery.congestion.window
    outcome = recovery.on_ack([(1, 5)], 0.0, now=0.1)
    assert numbers(outcome.lost) == [0]
    assert recovery.congestion.window >= window
    send(recovery, 10, 1.0)
    recovery.on_ack([(15, 15)], 0.0, now=1.1)
    assert recovery.congestion.window < window
    assert recovery.packets_lost == 7


def test_a_long_span_of_losses_is_persistent_congestion() -> None:
    recovery = fresh()
    for turn in range(20):
        send(recovery, 1, float(turn))
    recovery.on_ack([(19, 19)], 0.0, now=20.0)
    assert recovery.congestion.window == 4 * SIZE


def test_a_packet_that_arrived_between_breaks_the_span() -> None:
    recovery = fresh()
    for turn in range(5):
        send(recovery, 1, turn * 0.13)
    recovery.on_ack([(2, 2)], 0.0, now=0.27)
    outcome = recovery.on_ack([(4, 4), (2, 2)], 0.0, now=0.9)
    assert numbers(outcome.lost) == [3]
    assert recovery.congestion.window > 2 * SIZE


# --- late acknowledgements ----------------------------------------------------------------------------


def test_a_late_acknowledgement_is_told_apart_and_takes_the_reduction_back() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    window = recovery.congestion.window
    recovery.on_ack([(3, 5)], 0.0, now=0.1)
    assert recovery.congestion.window < window
    outcome = recovery.on_ack([(0, 5)], 0.0, now=0.11)
    assert (outcome.acked, outcome.lost) == ([], [])
    assert numbers(outcome.late) == [0, 1, 2]
    assert recovery.congestion.window == window + 3 * SIZE
    assert recovery.packets_lost == 0
    assert recovery.in_flight == 4 * SIZE


def test_after_reordering_the_packet_threshold_is_wider() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    recovery.on_ack([(8, 8)], 0.0, now=0.1)
    recovery.on_ack([(0, 8)], 0.0, now=0.11)
    send(recovery, 10, 0.2)
    assert numbers(recovery.on_ack([(18, 18)], 0.0, now=0.3).lost) == [9]  # by time, and none of the others


def test_after_a_slow_packet_loss_by_time_is_more_patient() -> None:
    recovery = fresh()
    send(recovery, 2, 0.0)
    recovery.on_ack([(1, 1)], 0.0, now=0.1)
    assert numbers(recovery.on_timeout(now=0.1125)) == [0]
    recovery.on_ack([(0, 1)], 0.0, now=0.12)
    send(recovery, 2, 1.0)
    recovery.on_ack([(3, 3)], 0.0, now=1.1)
    assert recovery.deadline() == pytest.approx(1.0 + 0.1 * 10 / 8)


def test_lost_packets_are_forgotten_in_the_end() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    recovery.on_ack([(3, 5)], 0.0, now=0.1)
    assert recovery.on_ack([(0, 5)], 0.0, now=60.0).late == []


# --- probe timeouts -----------------------------------------------------------------------------------


def test_a_probe_timeout_asks_for_the_oldest_packets_again() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    deadline = recovery.deadline()
    assert deadline is not None
    assert deadline == pytest.approx(recovery.rtt.pto(MAX_ACK_DELAY))
    assert recovery.on_timeout(now=deadline) == []
    assert recovery.probes_due == PROBES
    assert [piece.run for piece in recovery.probe_pieces()] == [
        StreamRun(0, 0, 10, fin=False),
        StreamRun(0, 10, 10, fin=False),
    ]
    assert recovery.in_flight == 10 * SIZE


def test_probe_pieces_come_from_as_many_runs_as_it_takes() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0)
    send(recovery, 1, 0.0, probe=True)
    send(recovery, 3, 0.0)
    recovery.on_timeout(now=10.0)
    assert numbers(recovery.probe_pieces()) == [0, 2]


def test_sending_counts_probes_down_and_an_ack_cancels_them() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0)
    recovery.on_timeout(now=10.0)
    send(recovery, 1, 10.0)
    assert recovery.probes_due == PROBES - 1
    recovery.on_ack([(1, 1)], 0.0, now=10.1)
    assert (recovery.probes_due, recovery.pto_count) == (0, 0)


def test_backoff_doubles_up_to_two_seconds() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0)
    now, waits = 0.0, []
    for _ in range(30):
        deadline = recovery.deadline()
        assert deadline is not None
        waits.append(deadline - now)
        now = deadline
        recovery.on_timeout(now=now)
        send(recovery, 1, now)
    base = recovery.rtt.pto(MAX_ACK_DELAY)
    assert waits[:4] == pytest.approx([base, 2 * base, 4 * base, 8 * base])
    assert max(waits) == pytest.approx(MAX_PROBE_WAIT)


def test_a_timeout_that_could_not_be_answered_comes_again_later() -> None:
    recovery = fresh()
    send(recovery, 1, 0.0)
    recovery.on_timeout(now=10.0)
    deadline = recovery.deadline()
    assert deadline is not None
    assert deadline > 10.0


def test_a_slow_path_backs_off_from_its_own_round_trip() -> None:
    recovery = fresh(5.0)
    send(recovery, 1, 0.0)
    recovery.on_timeout(now=10.0)
    assert recovery.deadline() == pytest.approx(10.0 + recovery.rtt.pto(MAX_ACK_DELAY))


# --- a window that is not used ------------------------------------------------------------------------


def test_a_window_that_is_not_used_does_not_grow() -> None:
    recovery = fresh()
    window = recovery.congestion.window
    for turn in range(100):
        number = send(recovery, 3, turn * 1.0).stop - 1
        recovery.on_ack([(0, number)], 0.0, now=turn + 0.1)
    assert recovery.congestion.window == window


def test_a_window_that_is_used_grows() -> None:
    recovery = fresh()
    window = recovery.congestion.window
    number = send(recovery, 10, 0.0).stop - 1
    recovery.on_ack([(0, number)], 0.0, now=0.1)
    assert recovery.congestion.window == 2 * window


def test_a_full_window_counts_for_every_ack_of_its_round() -> None:
    recovery = fresh()
    window = recovery.congestion.window
    send(recovery, 10, 0.0)
    for number in range(10):
        recovery.on_ack([(0, number)], 0.0, now=0.1)
    assert recovery.congestion.window == 2 * window


# --- paths --------------------------------------------------------------------------------------------


def test_a_new_path_starts_with_an_empty_window_and_is_not_judged_by_old_packets() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    recovery.restart(RttEstimator(), NewReno(SIZE))
    window = recovery.congestion.window
    assert recovery.in_flight == 0
    send(recovery, 2, 0.5)
    outcome = recovery.on_ack([(4, 9)], 0.0, now=0.6)
    assert numbers(outcome.acked) == [4, 5, 6, 7, 8, 9]
    assert numbers(outcome.lost) == [0, 1, 2, 3]
    assert recovery.congestion.window == window
    assert recovery.rtt.sampled_at is None
    assert recovery.in_flight == 2 * SIZE


def test_forgetting_returns_everything_and_still_knows_it_when_it_comes() -> None:
    recovery = fresh()
    send(recovery, 10, 0.0)
    window = recovery.congestion.window
    assert numbers(recovery.forget_all()) == list(range(10))
    assert (recovery.in_flight, recovery.deadline()) == (0, None)
    assert numbers(recovery.on_ack([(0, 3)], 0.0, now=0.1).late) == [0, 1, 2, 3]
    assert recovery.congestion.window == window
    assert recovery.packets_lost == 6


# --- against a model that looks at every packet -------------------------------------------------------


class PerPacket:
    """RFC 9002 appendix A, one packet at a time."""

    def __init__(self, rtt: float) -> None:
        self.rtt = RttEstimator()
        for turn in range(100):
            self.rtt.update(rtt, 0.0, now=-100.0 + turn)
        self.sent: dict[int, float] = {}
        self.lost: dict[int, float] = {}
        self.lost_until = 0.0
        self.largest = -1
        self.threshold = PACKET_THRESHOLD
        self.slack = 1 / 8
        self.loss_at: float | None = None

    def on_ack(self, acked: set[int], now: float) -> tuple[list[int], list[int], list[int]]:
        new = sorted(number for number in acked if number in self.sent)
        self.largest = max(self.largest, *acked)
        if new and new[-1] == max(acked):
            self.rtt.update(now - self.sent[new[-1]], 0.0, now=now)
        for number in new:
            del self.sent[number]
        if now > self.lost_until:
            self.lost.clear()
        late = sorted(number for number in acked if number in self.lost)
        for number in late:
            del self.lost[number]
        if late and self.largest - late[0] >= self.threshold:
            self.threshold = min(self.largest - late[0] + 1, 128)
        elif late:
            self.slack = min(2 * self.slack, 1.0)
        return new, self.detect(now), late

    def detect(self, now: float) -> list[int]:
        self.loss_at = None
        wait = max((1 + self.slack) * max(self.rtt.latest, self.rtt.smoothed), GRANULARITY)
        lost = []
        for number, sent_at in list(self.sent.items()):
            if number > self.largest:
                continue
            if sent_at + wait <= now or number <= self.largest - self.threshold:
                lost.append(number)
                self.lost[number] = self.sent.pop(number)
            elif self.loss_at is None or sent_at + wait < self.loss_at:
                self.loss_at = sent_at + wait
        if lost:
            self.lost_until = now + 3 * self.rtt.pto(MAX_ACK_DELAY)
        return lost


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 12)),
        st.tuples(st.just("quiet"), st.integers(1, 2)),
        st.tuples(st.just("wait"), st.integers(1, 60)),
        st.tuples(st.just("ack"), st.lists(st.tuples(st.integers(0, 40), st.integers(1, 15)), min_size=1, max_size=4)),
        st.tuples(st.just("timeout"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(STEPS)
def test_runs_settle_like_single_packets(steps: list[tuple[str, int | list[tuple[int, int]]]]) -> None:
    recovery, model, now = fresh(), PerPacket(0.1), 0.0
    for step, value in steps:
        if isinstance(value, list):
            # Ranges are given from the newest number down, as a receiver would report them.
            ranges = RangeSet()
            for back, length in value:
                stop = recovery.next_number - back
                ranges.add(max(0, stop - length), stop)
            if not ranges:
                continue
            inclusive = [(start, stop - 1) for start, stop in reversed(ranges)]
            outcome = recovery.on_ack(inclusive, 0.0, now=now)
            acked = {number for start, stop in ranges for number in range(start, stop)}
            assert tuple(numbers(runs) for runs in outcome) == model.on_ack(acked, now)
        elif step == "send":
            run = send(recovery, value, now)
            model.sent.update(dict.fromkeys(range(run.first, run.stop), now))
        elif step == "quiet":
            send(recovery, value, now, eliciting=False)
        elif step == "wait":
            now += value / 1000
        elif (deadline := recovery.deadline()) is not None:
            now = max(now, deadline)
            probing = model.loss_at is None
            assert numbers(recovery.on_timeout(now=now)) == ([] if probing else model.detect(now))
        assert recovery.in_flight == len(model.sent) * SIZE
        assert recovery.packets_sent >= recovery.packets_lost >= 0
        if model.loss_at is not None:
            assert recovery.deadline() == model.loss_at
