from __future__ import annotations

import re
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto.words import WORDS, safety_words

HASHES = st.binary(min_size=32, max_size=32)


def differences(one: str, other: str) -> int:
    """Count the letters to insert, remove or replace to get from one word to the other."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def test_every_byte_has_a_word_of_its_own() -> None:
    assert len(WORDS) == len(set(WORDS)) == 256
    assert all(re.fullmatch(r"[a-z]{3,8}", word) for word in WORDS)


def test_no_two_words_are_taken_for_each_other() -> None:
    assert [pair for pair in combinations(WORDS, 2) if differences(*pair) < 2 or pair[0][:4] == pair[1][:4]] == []


@given(handshake_hash=HASHES)
def test_words_and_digits_are_one_number(handshake_hash: bytes) -> None:
    shown = re.fullmatch(r"([a-z]+) ([a-z]+) ([a-z]+) \((\d{3}) (\d{3})\)", safety_words(handshake_hash))
    assert shown
    number = int.from_bytes(bytes(WORDS.index(word) for word in shown.groups()[:3]), "big")
    assert int(shown[4] + shown[5]) == number % 1_000_000


@given(one=HASHES, other=HASHES)
def test_the_same_hash_reads_the_same_and_another_differently(one: bytes, other: bytes) -> None:
    # 2^-24 to fail by chance.
    assert (safety_words(one) == safety_words(other)) == (one == other)
