"""The table of a session's streams: ids, limits, turns, and when a stream is forgotten."""

from __future__ import annotations

import pytest

from clawchat.transport.runs import StreamRun
from clawchat.transport.streams import StreamTable
from clawchat.values.errors import ProtocolViolation, UsageError
from clawchat.values.events import (
    Event,
    StreamDelivered,
    StreamOpened,
    StreamReadable,
    StreamReset,
    StreamStopped,
    StreamWritable,
)
from clawchat.wire.decoding import decode
from clawchat.wire.frames import CloseCode, Frame, MaxData, MaxStreamData, MaxStreams, Reset, Stop

SESSION = 7
WINDOW = 1000


class Table:
    """A table, and what it told."""

    def __init__(
        self, *, initiator: bool = True, window: int = WINDOW, session: int = 3 * WINDOW, most: int = 4
    ) -> None:
        self.events: list[Event] = []
        self.streams = StreamTable(
            SESSION,
            self.events.append,
            initiator=initiator,
            stream_window=window,
            session_window=session,
            max_streams=most,
        )

    def told(self) -> list[Event]:
        events, self.events[:] = list(self.events), []
        return events

    def controls(self) -> list[Frame]:
        found: list[bytes] = []
        if self.streams.control_pending:
            self.streams.collect_controls(found.append, now=0.0, rtt=0.1)
        assert not self.streams.control_pending
        return [frame for data in found for frame in decode(data)]

    def sent(self, limit: int = 1 << 20) -> list[tuple[int, bytes, bool]]:
        """Send all that may be sent; return (stream, bytes, end)."""
        found = []
        while run := self.streams.next_run(limit):
            found.append((run.stream, bytes(self.streams.view(run.stream, run.offset, run.length)), run.fin))
        return found

    def hear(self, stream: int, data: bytes, offset: int = 0, *, fin: bool = False) -> None:
        self.streams.on_data(stream, offset, data, fin=fin)


# --- ids and limits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("initiator", "ids"), [(True, [0, 2, 4]), (False, [1, 3, 5])])
def test_the_ids_of_the_two_ends_never_meet(initiator: bool, ids: list[int]) -> None:  # noqa: FBT001 - a parameter
    table = Table(initiator=initiator)
    assert [table.streams.open() for _ in ids] == ids


def test_no_more_streams_than_the_peer_allows() -> None:
    table = Table(most=2)
    table.streams.open()
    table.streams.open()
    with pytest.raises(UsageError):
        table.streams.open()
    table.streams.on_control(MaxStreams(3))
    table.streams.on_control(MaxStreams(1))
    assert table.streams.open() == 4
    with pytest.raises(UsageError):
        table.streams.open()


def test_a_stream_opens_those_below_it() -> None:
    table = Table()
    table.hear(5, b"x")
    assert table.told() == [*[StreamOpened(SESSION, stream) for stream in (1, 3, 5)], StreamReadable(SESSION, 5)]


@pytest.mark.parametrize("frame", [Stop(9, 0), Reset(9, 0, 0), MaxStreamData(9, 1), Stop(0, 0), MaxStreamData(0, 1)])
def test_what_does_not_exist_is_not_spoken_of(frame: Reset | Stop | MaxStreamData) -> None:
    table = Table()
    with pytest.raises(ProtocolViolation) as refused:
        table.streams.on_control(frame)
    assert refused.value.code == CloseCode.STREAM_STATE
    assert table.told() == []


def test_streams_of_both_kinds_can_be_opened_by_any_frame() -> None:
    for frame in (Stop(1, 5), Reset(1, 5, 0), MaxStreamData(1, 5000)):
        table = Table()
        table.streams.on_control(frame)
        assert table.told()[0] == StreamOpened(SESSION, 1)


def test_finished_streams_of_the_peer_make_room_for_new_ones() -> None:
    table = Table(most=4)
    for stream in (1, 3):
        assert table.controls() == []
        table.hear(stream, b"", fin=True)
        table.streams.read(stream, -1)
        table.streams.write(stream, b"", fin=True)
        assert table.sent() == [(stream, b"", True)]
        table.streams.on_acked(StreamRun(stream, 0, 0, fin=True))
    assert table.controls() == [MaxStreams(6)]
    table.hear(11, b"x")
    with pytest.raises(ProtocolViolation):
        table.hear(13, b"x")


# --- sending ------------------------------------------------------------------------------------------


def test_streams_take_turns() -> None:
    table = Table(window=100_000, session=100_000)
    for stream in (table.streams.open(), table.streams.open(), table.streams.open()):
        table.streams.write(stream, bytes(30), fin=False)
    assert [stream for stream, _, _ in table.sent(10)] == [0, 2, 4] * 3


def test_what_was_lost_is_sent_again_first() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, b"abcdef", fin=True)
    run = table.streams.next_run(3)
    assert run is not None
    table.streams.on_lost(run)
    assert table.sent() == [(stream, b"abc", False), (stream, b"def", True)]


def test_a_stream_waits_for_its_window_and_all_for_the_sessions() -> None:
    table = Table(window=10, session=25)
    streams = [table.streams.open() for _ in range(3)]
    for stream in streams:
        table.streams.write(stream, bytes(20), fin=False)
    assert [(stream, len(data)) for stream, data, _ in table.sent()] == [(0, 10), (2, 10), (4, 5)]
    assert not table.streams.ready_bytes()
    table.streams.on_control(MaxStreamData(0, 20))
    assert table.sent() == []
    table.streams.on_control(MaxData(100))
    assert [(stream, len(data)) for stream, data, _ in table.sent()] == [(0, 10), (4, 5)]


def test_a_limit_is_never_taken_back() -> None:
    table = Table(window=10, session=100)
    stream = table.streams.open()
    table.streams.write(stream, bytes(50), fin=False)
    table.streams.on_control(MaxStreamData(stream, 30))
    table.streams.on_control(MaxStreamData(stream, 20))
    assert len(table.sent()[0][1]) == 30


def test_delivered_is_told_once_when_all_is_acknowledged() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, b"abcdef", fin=True)
    table.sent(3)
    first, last = StreamRun(stream, 0, 3, fin=False), StreamRun(stream, 3, 3, fin=True)
    table.streams.on_acked(last)
    assert table.told() == []
    assert not table.streams.flushed()
    table.streams.on_acked(first)
    table.streams.on_acked(last)
    table.streams.on_acked(first)
    assert table.told() == [StreamDelivered(SESSION, stream)]
    assert table.streams.flushed()


def test_room_and_the_word_that_there_is_some_again() -> None:
    table = Table()
    stream = table.streams.open()
    assert table.streams.room(stream, 10) == 10
    table.streams.write(stream, bytes(10), fin=False)
    assert table.streams.room(stream, 10) == 0
    table.sent(5)
    assert table.told() == []
    table.streams.on_acked(StreamRun(stream, 0, 5, fin=False))
    table.streams.on_acked(StreamRun(stream, 5, 5, fin=False))
    assert table.told() == [StreamWritable(SESSION, stream)]
    assert table.streams.room(99, 10) == 0


def test_nobody_waits_for_room_on_a_stream_that_was_given_up() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, bytes(10), fin=False)
    table.sent()
    assert table.streams.room(stream, 10) == 0
    table.streams.reset(stream, 300)
    table.streams.on_acked(StreamRun(stream, 0, 10, fin=False))
    assert table.told() == []
    assert table.streams.flushed()


@pytest.mark.parametrize("stream", [0, 1, 99])
def test_nothing_can_be_written_where_there_is_no_stream(stream: int) -> None:
    with pytest.raises(UsageError):
        Table().streams.write(stream, b"x", fin=False)


# --- receiving ----------------------------------------------------------------------------------------


def test_readable_is_told_again_after_a_read_emptied_it() -> None:
    table = Table()
    table.hear(1, b"abc")
    table.hear(1, b"def", 3)
    assert table.told() == [StreamOpened(SESSION, 1), StreamReadable(SESSION, 1)]
    assert table.streams.read(1, 2) == b"ab"
    table.hear(1, b"ghi", 6)
    assert table.told() == []
    assert table.streams.read(1, -1) == b"cdefghi"
    table.hear(1, b"", 9, fin=True)
    assert table.told() == [StreamReadable(SESSION, 1)]
    assert table.streams.read(1, -1) == b""
    assert table.streams.at_end(1)


def test_reading_opens_the_windows() -> None:
    table = Table(window=1000, session=1500)
    table.hear(1, bytes(800))
    assert table.controls() == []
    assert len(table.streams.read(1, -1)) == 800
    assert table.controls() == [MaxStreamData(1, 1800), MaxData(2300)]
    assert table.controls() == []


def test_a_window_is_not_opened_on_a_stream_that_has_ended() -> None:
    table = Table()
    table.hear(1, bytes(900), fin=True)
    table.streams.read(1, -1)
    assert table.controls() == []


def test_nothing_is_read_from_what_does_not_exist() -> None:
    table = Table()
    assert table.streams.read(1, -1) == b""
    assert table.streams.at_end(1)


# --- giving up ----------------------------------------------------------------------------------------


def test_a_reset_says_how_much_was_sent_and_stops_the_rest() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, bytes(100), fin=False)
    run = table.streams.next_run(30)
    assert run is not None
    table.streams.reset(stream, 300)
    table.streams.on_lost(run)
    assert table.sent() == []
    assert table.controls() == [Reset(stream, 300, 30)]
    with pytest.raises(UsageError):
        table.streams.write(stream, b"x", fin=False)


def test_a_stop_is_answered_with_a_reset_and_told_once() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, bytes(100), fin=False)
    table.sent(50)
    for _ in range(3):
        table.streams.on_control(Stop(stream, 300))
    assert table.told() == [StreamStopped(SESSION, stream, 300)]
    assert table.controls() == [Reset(stream, 300, 100)]


def test_a_stop_that_comes_after_the_end_changes_nothing() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, b"all of it", fin=True)
    table.sent()
    table.streams.on_acked(StreamRun(stream, 0, 9, fin=True))
    table.told()
    table.streams.on_control(Stop(stream, 300))
    assert (table.told(), table.controls()) == ([], [])


def test_a_reset_is_told_once_and_drops_what_was_not_read() -> None:
    table = Table()
    table.hear(1, b"abc")
    table.told()
    for _ in range(3):
        table.streams.on_control(Reset(1, 300, 10))
    assert table.told() == [StreamReset(SESSION, 1, 300)]
    assert table.streams.read(1, -1) == b""
    assert table.streams.at_end(1)
    table.hear(1, b"abc")
    assert table.told() == []


def test_a_reset_after_everything_arrived_takes_nothing_away() -> None:
    table = Table()
    table.hear(1, b"abc", fin=True)
    table.told()
    table.streams.on_control(Reset(1, 300, 3))
    assert table.told() == []
    assert table.streams.read(1, -1) == b"abc"


def test_a_reset_gives_the_session_its_window_back() -> None:
    table = Table(window=1000, session=1500)
    table.hear(1, bytes(900))
    table.streams.on_control(Reset(1, 300, 1000))
    assert table.controls() == [MaxData(2500)]


def test_what_nobody_wants_is_swallowed_and_counts_as_read() -> None:
    table = Table(window=1000, session=1500)
    table.hear(1, bytes(100))
    table.told()
    table.streams.stop(1, 300)
    assert table.controls() == [Stop(1, 300)]
    table.hear(1, bytes(800), 100)
    assert table.told() == []
    assert table.streams.read(1, -1) == b""
    assert MaxData(2400) in table.controls()


def test_a_stream_is_forgotten_when_both_halves_are_done() -> None:
    table = Table()
    stream = table.streams.open()
    table.streams.write(stream, b"question", fin=True)
    table.sent()
    table.streams.on_acked(StreamRun(stream, 0, 8, fin=True))
    table.hear(stream, b"answer", fin=True)
    assert table.streams.read(stream, -1) == b"answer"
    table.told()
    for _ in range(2):
        table.hear(stream, b"answer", fin=True)
        table.streams.on_acked(StreamRun(stream, 0, 8, fin=True))
        table.streams.on_lost(StreamRun(stream, 0, 8, fin=True))
        table.streams.on_control(Stop(stream, 1))
        table.streams.on_control(Reset(stream, 1, 6))
        table.streams.on_control(MaxStreamData(stream, 10**6))
        table.streams.reset(stream, 1)
        table.streams.stop(stream, 1)
    assert (table.told(), table.controls(), table.sent()) == ([], [], [])
    assert table.streams.at_end(stream)
    assert table.streams.flushed()
