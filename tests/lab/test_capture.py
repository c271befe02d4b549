"""What is written into a capture, read back by scapy."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from clawchat.values.errors import ConfigError
from lab.capture import pcapng
from lab.capture.recording import both_sides
from lab.verify.frames import Class
from lab.verify.reading import read
from lab.verify.rehearsal import Sent, frame

DATAGRAM = Sent(("10.1.0.2", 4000), ("203.0.113.9", 5000), b"payload")
FRAMES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, (1 << 63) - 1), st.binary(max_size=100), st.sampled_from([1, 2])),
    max_size=8,
)
COMMENTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(frames=FRAMES, comment=COMMENTS)
def test_scapy_reads_what_was_written(frames: list[tuple[int, int, bytes, int]], comment: str) -> None:
    stream = io.BytesIO()
    writer = pcapng.Writer(stream, comment=comment)
    for name in ("left lan", "left wan"):
        writer.interface(name, comment=comment)
    for interface, at, data, direction in frames:
        writer.packet(interface, at, data, direction=direction)
    writer.statistics(0, 5, received=len(frames), lost=0)
    assert writer.size == len(stream.getvalue())
    stream.seek(0)
    reader: Any = RawPcapNgReader(stream)  # type: ignore[arg-type]  # it takes streams, too
    read_back = []
    for data, about in reader:
        interface = [b"left lan", b"left wan"].index(about.ifname)
        read_back.append((interface, about.tshigh << 32 | about.tslow, data, about.direction))
        assert (about.wirelen, about.linktype, about.tsresol) == (len(data), 1, 10**9)
    assert read_back == frames
    assert [one[2].get("comment") for one in reader.interfaces] == [comment.encode() or None] * 2


def write(file: Path, *, lost: int = 0, frames: int = 3) -> Path:
    with file.open("wb") as stream:
        writer = pcapng.Writer(stream, comment="cell open x open")
        for point in both_sides(Path("/run/netns/x"), "g1", claimed="open", cell="open x open"):
            writer.interface(point.name, comment=point.comment)
        for number in range(frames):
            writer.packet(number % 2, number, frame(DATAGRAM), direction=pcapng.OUTBOUND)
        writer.statistics(0, 9, received=frames, lost=lost)
    return file


def test_a_capture_says_where_it_was_taken_and_nothing_of_the_machine(tmp_path: Path) -> None:
    file = write(tmp_path / "one.pcapng")
    data = file.read_bytes()
    assert b"node g1; claimed open; cell open x open; side wan" in data
    # Behind the fixed part of the section header there is one comment, and no hardware, system or application.
    length = int.from_bytes(data[4:8], "little")
    assert data[24 : length - 4] == b"\x01\x00\x10\x00cell open x open\x00\x00\x00\x00"


def test_a_capture_is_read(tmp_path: Path) -> None:
    capture = read([write(tmp_path / "one.pcapng"), write(tmp_path / "two.pcapng", lost=2, frames=1)])
    assert [packet.payload for packet in capture.udp] == [b"payload"] * 4
    assert {(packet.source, packet.destination) for packet in capture.udp} == {DATAGRAM[:2]}
    assert [packet.at for packet in capture.udp] == [0, 0, 1, 2]
    assert capture.points == {"g1 lan", "g1 wan"}
    assert (capture.lost, capture.cut, capture.others[Class.CUT]) == (2, [], 0)


@pytest.mark.parametrize("missing", [1, 5, 40, 70])
def test_a_capture_that_was_cut_off_is_noticed(tmp_path: Path, missing: int) -> None:
    file = write(tmp_path / "one.pcapng")
    file.write_bytes(file.read_bytes()[:-missing])
    assert read([file]).cut == ["one.pcapng"]


def test_the_older_format_is_read_too(tmp_path: Path) -> None:
    sent = frame(DATAGRAM)
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
    record = (1).to_bytes(4, "little") + (2).to_bytes(4, "little") + len(sent).to_bytes(4, "little") * 2 + sent
    whole = tmp_path / "whole.pcap"
    whole.write_bytes(head + record * 2)
    capture = read([whole])
    assert [(packet.point, packet.at) for packet in capture.udp] == [("whole.pcap", 1_000_002_000)] * 2
    assert not capture.cut
    short = tmp_path / "short.pcap"
    short.write_bytes((head + record * 2)[:-1])
    assert read([short]).cut or read([short]).others[Class.CUT]


def test_frames_that_were_not_recorded_whole_are_counted(tmp_path: Path) -> None:
    sent = frame(DATAGRAM)
    head = bytes.fromhex("d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000")
    sizes = (len(sent) - 3).to_bytes(4, "little") + len(sent).to_bytes(4, "little")
    file = tmp_path / "snapped.pcap"
    file.write_bytes(head + bytes(8) + sizes + sent[:-3])
    assert read([file]).others == {Class.CUT: 1}


@given(data=st.binary(max_size=200))
def test_anything_else_is_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("any") / "file"
    file.write_bytes(data)
    with pytest.raises(ConfigError):
        read([file])
