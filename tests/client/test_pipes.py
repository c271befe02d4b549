from __future__ import annotations

import asyncio
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.services.chat_fields import MAX_TEXT_BYTES
from client.pipes import Output, read_lines


def lines_of(data: bytes) -> list[str]:
    reader, writer = os.pipe()

    def feed() -> None:
        with open(writer, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            file.write(data)

    async def scene() -> list[str]:
        return [line async for line in read_lines(reader)]

    threading.Thread(target=feed).start()
    try:
        return asyncio.run(scene())
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\n\ntwo", ["one", "two"]),
        ("grüße\n".encode(), ["grüße"]),
        (b"\xff\n", ["�"]),
    ],
)
def test_lines(data: bytes, lines: list[str]) -> None:
    assert lines_of(data) == lines


@given(st.text(alphabet="aé你👋", min_size=1).map(lambda text: text * (3 * MAX_TEXT_BYTES // len(text.encode()))))
def test_a_line_without_an_end_comes_in_parts_and_loses_no_character(text: str) -> None:
    parts = lines_of(text.encode())
    assert "".join(parts) == text
    assert all(1 <= len(part.encode()) <= MAX_TEXT_BYTES for part in parts)


def test_output_is_written_in_order_and_in_full() -> None:
    reader, writer = os.pipe()
    output = Output(writer, on_broken=lambda: None)
    chunks: list[bytes] = []

    def take() -> None:
        while chunk := os.read(reader, 1000):
            chunks.append(chunk)

    taker = threading.Thread(target=take)
    taker.start()
    for number in range(20_000):
        output.line(f"line {number}")
    output.close()
    os.close(writer)
    taker.join()
    os.close(reader)
    assert b"".join(chunks).decode().splitlines() == [f"line {number}" for number in range(20_000)]


def test_a_reader_who_has_gone_is_told_once_and_blocks_nobody() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    told: list[bool] = []
    output = Output(writer, on_broken=lambda: told.append(True))
    for _ in range(10):
        output.line("x" * 100_000)
    output.close()
    os.close(writer)
    assert told == [True]
