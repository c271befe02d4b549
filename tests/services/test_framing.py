from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.services.framing import MAX_OBJECT_BYTES, ObjectReader, write_object
from clawchat.services.preface import PrefaceReader, write_preface
from clawchat.values.errors import ProtocolViolation

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=40)
OBJECTS = st.dictionaries(st.text(max_size=10), SCALARS | st.lists(SCALARS, max_size=4), max_size=5)


def framed(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@given(st.lists(OBJECTS, max_size=6), st.integers(1, 50))
def test_objects_survive_any_cutting(objects: list[dict[str, object]], step: int) -> None:
    data = b"".join(map(write_object, objects))
    reader = ObjectReader()
    found = [value for at in range(0, len(data), step) for value in reader.feed(data[at : at + step])]
    assert found == objects


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_a_violation(data: bytes) -> None:
    for reader in (ObjectReader(), PrefaceReader()):
        try:
            reader.feed(data)
        except ProtocolViolation:
            continue


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'"text"',
        b"{",
        b'{"a":1}{}',
        b'{"a":1,"a":2}',
        b'{"a":NaN}',
        b'{"a":"\xff"}',
        b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"a":' + b"9" * 9000 + b"}",
    ],
)
def test_what_is_no_strict_json_object_is_a_violation(body: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        ObjectReader().feed(framed(body))


@pytest.mark.parametrize("length", [0, MAX_OBJECT_BYTES + 1, 0xFFFFFFFF])
def test_an_impossible_length_is_refused_before_its_bytes_arrive(length: int) -> None:
    with pytest.raises(ProtocolViolation):
        ObjectReader().feed(length.to_bytes(4, "big"))


def test_an_object_too_long_is_refused_at_its_writer() -> None:
    with pytest.raises(ProtocolViolation):
        write_object({"text": "x" * MAX_OBJECT_BYTES})


def test_text_is_not_blown_up_by_escapes() -> None:
    assert json.loads(write_object({"a": "…"})[4:]) == {"a": "…"}
    assert "…".encode() in write_object({"a": "…"})


def test_a_preface_is_found_byte_by_byte() -> None:
    reader = PrefaceReader()
    answers = [reader.feed(bytes((byte,))) for byte in write_preface("chat")]
    assert answers == [None, None, None, None, ("chat", b"")]


def test_a_preface_leaves_what_follows() -> None:
    assert PrefaceReader().feed(write_preface("files") + b"rest") == ("files", b"rest")


@pytest.mark.parametrize("data", [b"\x00", b"\x21", b"\xff", b"\x04Chat", b"\x04ch t", b"\x02\xc3\xa9"])
def test_a_preface_that_names_nothing_is_a_violation(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        PrefaceReader().feed(data)
