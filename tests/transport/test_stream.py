from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clawchat.transport import ReceiveStream, ReceiveWindow, SendStream, SendWindow, StreamRun
from clawchat.values.errors import ProtocolViolation, UsageError
from clawchat.wire.frames import CloseCode

ROOM = 1 << 20


def sender(stream_limit: int = ROOM, session_limit: int = ROOM) -> SendStream:
    return SendStream(4, SendWindow(stream_limit), SendWindow(session_limit))


def receiver(stream_limit: int = ROOM, session_limit: int = ROOM) -> ReceiveStream:
    return ReceiveStream(ReceiveWindow(stream_limit, stream_limit), ReceiveWindow(session_limit, session_limit))


# --- sending ------------------------------------------------------------------------------------------


def test_written_bytes_are_cut_into_runs() -> None:
    stream = sender()
    stream.write(b"0123456789", fin=True)
    assert stream.next_run(6) == StreamRun(4, 0, 6, fin=False)
    assert stream.next_run(6) == StreamRun(4, 6, 4, fin=True)
    assert bytes(stream.view(6, 4)) == b"6789"
    assert stream.next_run(6) is None
    assert not stream.ready_bytes()


def test_nothing_is_pending_before_a_write() -> None:
    stream = sender()
    assert not stream.ready_bytes()
    assert stream.next_run(100) is None


def test_no_room_is_no_run() -> None:
    stream = sender()
    stream.write(b"x")
    assert stream.next_run(0) is None
    assert stream.ready_bytes()


def test_the_end_may_travel_alone() -> None:
    stream = sender()
    stream.write(b"x")
    stream.next_run(10)
    stream.write(b"", fin=True)
    assert stream.ready_bytes()
    assert stream.next_run(10) == StreamRun(4, 1, 0, fin=True)
    assert not stream.ready_bytes()


def test_lost_bytes_go_before_new_ones() -> None:
    stream = sender()
    stream.write(b"0123456789")
    first = stream.next_run(4)
    assert first is not None
    stream.on_lost(first)
    assert stream.next_run(3) == StreamRun(4, 0, 3, fin=False)
    assert stream.next_run(9) == StreamRun(4, 3, 1, fin=False)
    assert stream.next_run(9) == StreamRun(4, 4, 6, fin=False)


def test_what_arrived_is_not_sent_again() -> None:
    stream = sender()
    stream.write(b"0123456789")
    stream.next_run(10)
    stream.on_acked(StreamRun(4, 2, 3, fin=False))
    stream.on_lost(StreamRun(4, 0, 8, fin=False))
    assert stream.next_run(10) == StreamRun(4, 0, 2, fin=False)
    assert stream.next_run(10) == StreamRun(4, 5, 3, fin=False)


def test_a_late_acknowledgement_stops_the_retransmission() -> None:
    stream = sender()
    stream.write(b"0123456789", fin=True)
    run = stream.next_run(10)
    assert run is not None
    stream.on_lost(run)
    stream.on_acked(run)
    assert not stream.ready_bytes()
    assert stream.finished


def test_a_lost_end_is_sent_again_by_itself() -> None:
    stream = sender()
    stream.write(b"01", fin=True)
    stream.next_run(10)
    stream.on_acked(StreamRun(4, 0, 2, fin=False))
    stream.on_lost(StreamRun(4, 0, 2, fin=True))
    assert stream.next_run(10) == StreamRun(4, 2, 0, fin=True)
    stream.on_acked(StreamRun(4, 2, 0, fin=True))
    assert stream.finished


def test_new_bytes_respect_both_windows_and_lost_bytes_need_none() -> None:
    stream = sender(8, 5)
    stream.write(b"0123456789")
    assert stream.next_run(100) == StreamRun(4, 0, 5, fin=False)
    assert not stream.ready_bytes()
    assert stream.next_run(100) is None
    stream.on_lost(StreamRun(4, 0, 5, fin=False))
    assert stream.next_run(100) == StreamRun(4, 0, 5, fin=False)


def test_a_raised_window_lets_more_go() -> None:
    stream = sender(4)
    stream.write(b"0123456789", fin=True)
    stream.next_run(100)
    stream.window.raise_to(100)
    assert stream.next_run(100) == StreamRun(4, 4, 6, fin=True)


def test_streams_share_the_sessions_window() -> None:
    session = SendWindow(10)
    first, second = SendStream(0, SendWindow(100), session), SendStream(4, SendWindow(100), session)
    first.write(b"x" * 8)
    second.write(b"x" * 8)
    assert first.next_run(100) == StreamRun(0, 0, 8, fin=False)
    assert second.next_run(100) == StreamRun(4, 0, 2, fin=False)


def test_what_a_stream_holds() -> None:
    stream = sender()
    stream.write(b"0123456789")
    stream.next_run(4)
    assert (stream.unsent, stream.buffered) == (6, 10)
    stream.on_acked(StreamRun(4, 0, 4, fin=False))
    assert (stream.unsent, stream.buffered, stream.ready_bytes()) == (6, 6, 6)


def test_lost_bytes_wait_to_be_sent_like_new_ones() -> None:
    stream = sender(4)
    stream.write(b"0123456789")
    run = stream.next_run(100)
    assert run is not None
    stream.on_lost(run)
    assert (stream.unsent, stream.ready_bytes()) == (6, 4)


def test_after_the_end_nothing_can_be_written() -> None:
    stream = sender()
    stream.write(b"", fin=True)
    assert stream.ended
    with pytest.raises(UsageError):
        stream.write(b"x")


def test_a_reset_stream_sends_nothing_and_knows_its_size() -> None:
    stream = sender()
    stream.write(b"0123456789")
    run = stream.next_run(4)
    assert run is not None
    stream.on_lost(run)
    assert stream.reset() == 4
    assert not stream.ready_bytes()
    assert stream.next_run(10) is None
    assert (stream.unsent, stream.buffered, stream.ready_bytes()) == (0, 0, 0)
    assert stream.was_reset
    stream.on_lost(run)
    stream.on_acked(run)
    assert not stream.ready_bytes()
    with pytest.raises(UsageError):
        stream.write(b"x")


# --- receiving ----------------------------------------------------------------------------------------


def test_bytes_in_order_are_handed_on_as_they_are() -> None:
    stream = receiver()
    data = b"x" * 1000
    assert stream.receive(0, data)
    assert stream.read() is data
    assert stream.read() == b""


def test_a_view_is_copied() -> None:
    stream = receiver()
    buffer = bytearray(b"before")
    stream.receive(0, memoryview(buffer))
    buffer[:] = b"after!"
    assert stream.read() == b"before"


def test_bytes_wait_for_those_in_front() -> None:
    stream = receiver()
    assert not stream.receive(5, b"56789")
    assert stream.read() == b""
    assert stream.receive(0, b"01234")
    assert stream.readable == 10
    assert stream.read() == b"0123456789"


def test_a_duplicate_is_no_news() -> None:
    stream = receiver()
    stream.receive(0, b"01234")
    assert not stream.receive(0, b"01234")
    assert not stream.receive(2, b"23")
    assert stream.read() == b"01234"


def test_an_overlap_brings_only_what_is_new() -> None:
    stream = receiver()
    stream.receive(0, b"01234")
    assert stream.receive(3, b"3456")
    assert stream.read() == b"0123456"
    assert stream.window.received == 7


def test_read_keeps_within_its_limit() -> None:
    stream = receiver()
    stream.receive(0, b"0123")
    stream.receive(4, b"4567")
    stream.receive(8, b"89")
    assert stream.read(3) == b"012"
    assert stream.read(6) == b"34567"
    assert stream.read(0) == b""
    assert stream.read(100) == b"89"


def test_a_limit_across_chunks_ends_with_a_whole_one() -> None:
    stream = receiver()
    first = b"0123"
    stream.receive(0, first)
    stream.receive(4, b"4567")
    assert stream.read(6) is first


def test_take_returns_the_chunks() -> None:
    stream = receiver()
    stream.receive(0, b"0123")
    stream.receive(4, b"4567")
    stream.read(1)
    assert stream.take() == [b"123", b"4567"]
    assert stream.take() == []
    assert stream.window.consumed == 8


def test_the_end_is_seen_after_the_last_byte_was_read() -> None:
    stream = receiver()
    stream.receive(0, b"0123")
    assert stream.receive(4, b"", fin=True)
    assert stream.complete
    assert not stream.at_end
    stream.read()
    assert stream.at_end


def test_an_end_that_came_early_is_news_with_the_last_byte() -> None:
    stream = receiver()
    assert not stream.receive(4, b"45", fin=True)
    assert stream.receive(0, b"0123")
    assert stream.read() == b"012345"
    assert stream.at_end
    assert not stream.receive(6, b"", fin=True)


def test_an_empty_stream_ends() -> None:
    stream = receiver()
    assert stream.receive(0, b"", fin=True)
    assert stream.at_end


@pytest.mark.parametrize(
    ("offset", "data", "fin"),
    [(0, b"0123456", False), (7, b"x", False), (0, b"01", True), (6, b"", True)],
    ids=["beyond the end", "far beyond", "an earlier end", "a later end"],
)
def test_the_final_size_is_final(offset: int, data: bytes, fin: bool) -> None:  # noqa: FBT001 - as given
    stream = receiver()
    stream.receive(3, b"34", fin=True)
    with pytest.raises(ProtocolViolation) as violation:
        stream.receive(offset, data, fin=fin)
    assert violation.value.code == CloseCode.FINAL_SIZE


def test_an_end_before_bytes_that_came_is_a_violation() -> None:
    stream = receiver()
    stream.receive(5, b"56789")
    with pytest.raises(ProtocolViolation) as violation:
        stream.receive(0, b"01", fin=True)
    assert violation.value.code == CloseCode.FINAL_SIZE


@pytest.mark.parametrize(("stream_limit", "session_limit"), [(10, 100), (100, 10)])
@pytest.mark.parametrize("offset", [0, 5])
def test_bytes_beyond_a_window_are_a_violation(stream_limit: int, session_limit: int, offset: int) -> None:
    stream = receiver(stream_limit, session_limit)
    with pytest.raises(ProtocolViolation) as violation:
        stream.receive(offset, b"x" * (11 - offset))
    assert violation.value.code == CloseCode.FLOW_CONTROL


def test_reading_makes_room() -> None:
    stream = receiver(10)
    stream.receive(0, b"x" * 10)
    stream.read(5)
    assert stream.window_due
    assert stream.window.advance(now=1.0, rtt=0.1) == 15
    stream.receive(10, b"x" * 5)


def test_an_ended_stream_needs_no_more_room() -> None:
    stream = receiver(10)
    stream.receive(0, b"x" * 10, fin=True)
    stream.read()
    assert not stream.window_due


def test_a_reset_drops_what_is_unread_and_returns_the_room() -> None:
    session = ReceiveWindow(100, 100)
    stream = ReceiveStream(ReceiveWindow(100, 100), session)
    stream.receive(0, b"0123")
    stream.receive(6, b"67")
    stream.reset(20)
    assert (stream.readable, stream.read()) == (0, b"")
    assert (session.received, session.consumed) == (20, 20)
    assert stream.at_end


def test_a_reset_must_keep_to_the_final_size() -> None:
    stream = receiver()
    stream.receive(0, b"0123")
    with pytest.raises(ProtocolViolation) as violation:
        stream.reset(3)
    assert violation.value.code == CloseCode.FINAL_SIZE


def test_a_reset_after_the_end_agrees_with_it() -> None:
    stream = receiver()
    stream.receive(0, b"0123", fin=True)
    stream.reset(4)
    assert stream.at_end


def test_a_discarded_stream_still_counts_for_the_session() -> None:
    session = ReceiveWindow(100, 100)
    stream = ReceiveStream(ReceiveWindow(100, 100), session)
    stream.receive(0, b"0123")
    stream.discard()
    assert not stream.receive(4, b"4567")
    assert not stream.receive(8, b"89", fin=True)
    assert (session.received, session.consumed, stream.readable) == (10, 10, 0)
    assert stream.at_end


# --- both ends ----------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(st.data())
def test_whatever_the_network_does_the_bytes_come_once_and_in_order(data: st.DataObject) -> None:  # noqa: C901 - one row for each thing a network does
    """Any loss, order, duplication and cutting; acknowledged means received."""
    source, target = sender(60, 90), receiver(60, 90)
    text = bytes(value % 256 for value in range(data.draw(st.integers(0, 300))))
    wire: list[StreamRun] = []
    outstanding: list[StreamRun] = []
    written, received = 0, b""
    steps = st.sampled_from(["write", "send", "send", "deliver", "deliver", "duplicate", "lose", "read", "room"])
    for step in data.draw(st.lists(steps, max_size=80)):
        if step == "write" and not source.ended:
            stop = min(len(text), written + data.draw(st.integers(0, 50)))
            source.write(text[written:stop], fin=stop == len(text))
            written = stop
        elif step == "send" and (run := source.next_run(data.draw(st.integers(1, 40)))):
            wire.append(run)
        elif step in {"deliver", "duplicate", "lose"} and wire:
            run = wire.pop(data.draw(st.integers(0, len(wire) - 1)))
            if step == "duplicate":
                wire.append(run)
            if step == "lose":
                source.on_lost(run)
                outstanding.append(run)  # it may still arrive: a spurious loss
                continue
            view = source.view(run.offset, run.length) if run.offset >= written - source.buffered else None
            if view is not None:
                target.receive(run.offset, view, fin=run.fin)
            source.on_acked(run)
        elif step == "read":
            received += target.read(data.draw(st.integers(-1, 20)))
        elif step == "room":
            source.window.raise_to(target.window.advance(now=0.0, rtt=0.0))
            source._session.raise_to(target._session.advance(now=0.0, rtt=0.0))  # noqa: SLF001 - what the session does with its window
        assert text.startswith(received)
    # A network that works at last finishes the stream.
    if not source.ended:
        source.write(text[written:], fin=True)
    for run in outstanding + wire:
        source.on_lost(run)
    for _ in range(1000):
        received += target.read()
        source.window.raise_to(target.window.advance(now=0.0, rtt=0.0))
        source._session.raise_to(target._session.advance(now=0.0, rtt=0.0))  # noqa: SLF001 - what the session does with its window
        last = source.next_run(25)
        if last is None:
            break
        target.receive(last.offset, source.view(last.offset, last.length), fin=last.fin)
        source.on_acked(last)
    assert received + target.read() == text
    assert target.at_end
    assert source.finished
