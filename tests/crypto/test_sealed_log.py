from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto.bootstrap import KeyFile
from clawchat.crypto.sealed_log import STEP_BYTES, Record, SealedLog, read_log
from clawchat.values.errors import SecurityFileError

KEY = KeyFile(bytes(range(32)))
FORM = "clawchat test"

records = st.lists(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=90), max_size=3), max_size=6)


def log(*parts: list[Record], seed: int = 1) -> bytes:
    made = SealedLog(KEY, form=FORM, random=random.Random(seed).randbytes)
    return made.head + b"".join(made.add(part) for part in parts)


def read(data: bytes) -> list[Record]:
    return read_log(data, KEY, form=FORM)


@given(records, records)
def test_what_was_added_is_read(first: list[Record], second: list[Record]) -> None:
    assert read(log(first, second)) == first + second


@given(records, st.integers(0, 5000))
def test_a_log_that_was_cut_off_gives_what_is_whole(whole: list[Record], cut: int) -> None:
    data, head = log(whole), len(log())
    found = read(data[: max(head, len(data) - cut)])
    assert found == whole[: len(found)]
    assert cut or found == whole


@given(st.integers(0, 10_000))
def test_a_changed_bit_is_noticed(bit: int) -> None:
    data = bytearray(log([{"a": 1}, {"b": 2}]))
    bit %= len(data) * 8
    data[bit // 8] ^= 1 << bit % 8
    try:
        found = read(bytes(data))
    except SecurityFileError:
        return
    # A length that grew looks like a record that was cut off.
    assert found in ([], [{"a": 1}])


def test_records_that_change_places_are_noticed() -> None:
    head, one, both = log(), log([{"a": 1}]), log([{"a": 1}, {"b": 2}])
    first, second = both[len(head) : len(one)], both[len(one) :]
    with pytest.raises(SecurityFileError, match="damaged or changed"):
        read(head + second + first)


def test_another_key_is_told_from_damage() -> None:
    with pytest.raises(SecurityFileError) as caught:
        read_log(log(), KeyFile(bytes(32)), form=FORM)
    assert caught.value.code == "CC-PASSPHRASE"


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(SecurityFileError):
        read(data)


def test_lengths_say_little() -> None:
    head = len(log())
    sizes = {len(log([{"said": "x" * length}])) - head for length in range(30)}
    assert len(sizes) == 1
    assert (sizes.pop() - 4 - 16) % STEP_BYTES == 0
