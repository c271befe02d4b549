from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.transport.reassembly import MAX_GAPS, MAX_PIECES, SMALL_PIECE, Reassembly
from clawchat.values.errors import ProtocolViolation
from clawchat.wire.frames import CloseCode

TEXT = bytes(range(200))


@given(st.lists(st.tuples(st.integers(0, 199), st.integers(1, 40)), max_size=30), st.integers(0, 199))
def test_taken_bytes_equal_a_map_of_bytes(inserts: list[tuple[int, int]], offset: int) -> None:
    pieces = Reassembly()
    model: dict[int, int] = {}
    for start, length in inserts:
        pieces.insert(start, TEXT[start : start + length])
        model.update(enumerate(TEXT[start : start + length], start))
    # Read on from the offset, then from every byte beyond a gap.
    for start in [offset, *range(offset + 1, 240)]:
        expected = bytearray()
        while start + len(expected) in model:
            expected.append(model.pop(start + len(expected)))
        assert b"".join(pieces.take(start)) == expected
    assert len(pieces) == 0


def test_the_first_to_bring_a_byte_wins() -> None:
    pieces = Reassembly()
    pieces.insert(5, b"first")
    pieces.insert(3, b"XXXXXXXXXX")
    assert b"".join(pieces.take(3)) == b"XXfirstXXX"


def test_a_large_piece_is_handed_on_as_it_is() -> None:
    pieces = Reassembly()
    data = bytes(SMALL_PIECE)
    pieces.insert(7, data)
    assert pieces.take(7)[0] is data


def test_small_pieces_in_order_become_one() -> None:
    pieces = Reassembly()
    for number in range(1000):
        pieces.insert(100 + number, b"x")
    assert len(pieces) == 1


def test_small_pieces_in_reverse_order_are_joined_in_time() -> None:
    pieces = Reassembly()
    for number in range(3 * MAX_PIECES, 0, -1):
        pieces.insert(number, b"x")
    assert len(pieces) <= MAX_PIECES
    assert b"".join(pieces.take(1)) == b"x" * (3 * MAX_PIECES)


def test_too_many_gaps_are_a_violation() -> None:
    pieces = Reassembly()
    for number in range(MAX_PIECES):
        pieces.insert(2 * number + 1, b"x")
    with pytest.raises(ProtocolViolation) as violation:
        pieces.insert(2 * MAX_PIECES + 1, b"x")
    assert violation.value.code == CloseCode.TOO_MUCH


def test_many_gaps_are_allowed() -> None:
    pieces = Reassembly()
    for number in range(MAX_GAPS):
        pieces.insert(2 * number + 1, b"x")
    assert pieces.take(0) == []


def test_nothing_is_left_after_clear() -> None:
    pieces = Reassembly()
    pieces.insert(1, b"x")
    pieces.clear()
    assert (len(pieces), pieces.take(1)) == (0, [])
