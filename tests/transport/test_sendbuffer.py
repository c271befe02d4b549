from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clawchat.transport.sendbuffer import BIG_WRITE, SendBuffer


def test_a_view_inside_one_large_write_is_no_copy() -> None:
    buffer = SendBuffer()
    data = bytes(BIG_WRITE)
    buffer.append(data)
    assert buffer.view(10, 100).obj is data


def test_small_writes_are_joined_once() -> None:
    buffer = SendBuffer()
    for text in (b"one", b"two", b"three"):
        buffer.append(text)
    first = buffer.view(0, 3)
    second = buffer.view(3, 8)
    assert (bytes(first), bytes(second)) == (b"one", b"twothree")
    assert first.obj is second.obj


def test_what_is_released_is_dropped_by_whole_writes() -> None:
    buffer = SendBuffer()
    buffer.append(b"a" * BIG_WRITE)
    buffer.append(b"b" * BIG_WRITE)
    buffer.release(BIG_WRITE + 5)
    assert bytes(buffer.view(BIG_WRITE + 5, 3)) == b"bbb"
    assert buffer.end == 2 * BIG_WRITE


def test_nothing_can_be_viewed_anywhere() -> None:
    assert bytes(SendBuffer().view(0, 0)) == b""


@given(st.data())
def test_views_equal_what_was_written(data: st.DataObject) -> None:
    buffer = SendBuffer()
    written = b""
    released = 0
    sizes = st.one_of(st.integers(0, 40), st.integers(BIG_WRITE, BIG_WRITE + 10))
    for step in data.draw(st.lists(st.sampled_from(["write", "write", "view", "release"]), max_size=25)):
        if step == "write":
            piece = bytes([len(written) % 251]) * data.draw(sizes)
            buffer.append(piece)
            written += piece
        elif written:
            offset = data.draw(st.integers(released, len(written)))
            if step == "release":
                released = offset
                buffer.view(released, len(written) - released)  # only what was sent can be acknowledged
                buffer.release(released)
            elif offset < len(written):
                length = data.draw(st.integers(1, len(written) - offset))
                assert bytes(buffer.view(offset, length)) == written[offset : offset + length]
        assert buffer.end == len(written)
