from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto.keylog import (
    DataKeys,
    EnvelopeKeys,
    NoiseKeys,
    data_line,
    hello_line,
    noise_line,
    parse,
    welcome_line,
)
from clawchat.values.errors import UsageError

IDS = st.binary(min_size=8, max_size=8)
KEYS = st.binary(min_size=32, max_size=32)


@given(name=IDS, header_key=KEYS, key=KEYS, epoch=st.integers(0, 0xFFFE))
def test_every_line_reads_back(name: bytes, header_key: bytes, key: bytes, epoch: int) -> None:
    text = "\n".join(
        (
            "# a comment, and an empty line",
            "",
            hello_line(name, header_key, key),
            welcome_line(name, header_key, key),
            noise_line("welcome", header_key, key, key),
            data_line(name, header_key, epoch, key),
            data_line(name, header_key, epoch, key),
        )
    )
    ring = parse(text)
    assert ring.hello == {name: EnvelopeKeys(name, header_key, key)}
    assert ring.welcome == {name: EnvelopeKeys(name, header_key, key)}
    assert ring.noise == {header_key: NoiseKeys(key, key)}
    assert ring.data == {(name, epoch): (DataKeys(name, header_key, epoch, key),)}
    assert ring.header_keys == {header_key}


def test_several_sessions_may_begin_under_one_cid() -> None:
    """A client that repeats its HELLO keeps its cid, and the server answers every one of them."""
    cid, header_key, first, second = b"c" * 8, b"h" * 32, b"1" * 32, b"2" * 32
    ring = parse("\n".join(data_line(cid, header_key, 0, key) for key in (first, second, first)))
    assert [keys.key for keys in ring.data[cid, 0]] == [first, second]


@pytest.mark.parametrize(
    "line",
    [
        "HELLO",
        "HOWDY 00",
        f"HELLO {'00' * 8} {'00' * 32}",
        f"HELLO {'00' * 8} {'00' * 32} {'00' * 31}",
        f"HELLO {'00' * 7} {'00' * 32} {'00' * 32}",
        f"WELCOME {'00' * 8} {'00' * 32} {'zz' * 32}",
        f"NOISE goodbye {'00' * 32} {'00' * 32} {'00' * 32}",
        f"DATA {'00' * 8} {'00' * 32} first {'00' * 32}",
    ],
)
def test_a_line_that_is_wrong_is_named_by_its_number(line: str) -> None:
    with pytest.raises(UsageError, match="line 2 "):
        parse(f"\n{line}\n")


@given(text=st.text())
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse(text)
