"""Recording for real: nothing is lost, nothing is glued together, and it ends when it is told to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import rdpcap

from lab.capture.recording import Point, Recorder, both_sides
from lab.capture.tap import datagrams_alone
from lab.netns import Interface, NamespaceError, pair
from lab.verify.reading import read

pytestmark = pytest.mark.netns

ADDRESS = ("198.51.100.2", 4000)
UDP_SEGMENT = 103
PAYLOAD = 1000


@pytest.fixture
def cable() -> Iterator[tuple[Interface, Interface]]:
    with pair("tape") as (near, far):
        yield near, far


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


def point(end: Interface, name: str = "far wan") -> Point:
    return Point(str(end.namespace.path), end.device, name)


def send(near: Interface, far: Interface, payloads: list[bytes], *, segment: int = 0) -> None:
    with far.namespace.entered():
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with near.namespace.entered():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with receiver, sender:
        receiver.bind(ADDRESS)
        if segment:
            sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        for payload in payloads:
            sender.sendto(payload, ADDRESS)


def test_what_has_passed_is_there_when_the_recording_ends(
    cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path
) -> None:
    near, far = cable
    file = tmp_path / "tape.pcapng"
    payloads = [number.to_bytes(2, "big") for number in range(2000)]
    recorder.record(file, [point(near, "near wan"), point(far)], comment="two ends")
    send(near, far, payloads)
    ended = recorder.end(file)
    send(near, far, [b"too late"])
    capture = read([file])
    assert ended.lost == capture.lost == 0
    assert ended.frames == len(capture.udp) + sum(capture.others.values())
    for name in ("near wan", "far wan"):
        assert [packet.payload for packet in capture.udp if packet.point == name] == payloads


def test_only_what_arrives_at_a_device(cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path) -> None:
    near, far = cable
    file = tmp_path / "tape.pcapng"
    recorder.record(file, [replace(point(near, "near wan"), arriving=True), replace(point(far), arriving=True)])
    send(near, far, [b"one", b"two"])
    recorder.end(file)
    assert [(packet.point, packet.payload) for packet in read([file]).udp] == [("far wan", b"one"), ("far wan", b"two")]


def test_datagrams_that_left_together_are_recorded_one_by_one_with_checksums(
    cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path
) -> None:
    near, far = cable
    file = tmp_path / "tape.pcapng"
    for end in cable:
        datagrams_alone(end.namespace.path)
    recorder.record(file, [point(near, "near wan"), point(far)])
    send(near, far, [bytes(20 * PAYLOAD)], segment=PAYLOAD)
    recorder.end(file)
    assert [len(packet.payload) for packet in read([file]).udp] == [PAYLOAD] * 40
    for frame in rdpcap(str(file)):
        if frame.haslayer("UDP"):
            recorded = frame["UDP"].chksum
            again = Ether(bytes(frame))
            del again["UDP"].chksum
            assert Ether(bytes(again))["UDP"].chksum == recorded


def test_a_file_that_is_full_counts_what_it_leaves_out(
    cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path
) -> None:
    near, far = cable
    file = tmp_path / "tape.pcapng"
    recorder.record(file, [point(far)], max_bytes=20 * PAYLOAD)
    send(near, far, [bytes(PAYLOAD)] * 50)
    ended = recorder.end(file)
    capture = read([file])
    assert file.stat().st_size < 21 * PAYLOAD
    assert 10 < len(capture.udp) < 20
    assert ended.lost == capture.lost == 50 - len(capture.udp)


def test_several_recordings_go_on_side_by_side(
    cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path
) -> None:
    near, far = cable
    first, second = tmp_path / "first", tmp_path / "second"
    recorder.record(first, [point(far)])
    send(near, far, [b"one"])
    recorder.record(second, both_sides(far.namespace.path, "g1", claimed="open", devices=("lo", far.device)))
    send(near, far, [b"two"])
    recorder.end(first)
    send(near, far, [b"three"])
    recorder.end(second)
    assert [packet.payload for packet in read([first]).udp] == [b"one", b"two"]
    assert [(packet.point, packet.payload) for packet in read([second]).udp] == [
        ("g1 wan", b"two"),
        ("g1 wan", b"three"),
    ]


def test_a_device_that_is_not_there_is_told(
    cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path
) -> None:
    _, far = cable
    with pytest.raises(NamespaceError, match="No such device"):
        recorder.record(tmp_path / "tape", [Point(str(far.namespace.path), "none", "none")])
    with pytest.raises(NamespaceError, match="No such file"):
        recorder.record(tmp_path / "tape", [Point("/run/netns/none", "wan", "none")])
    recorder.record(tmp_path / "tape", [point(far)])


def test_a_device_that_goes_away_ends_nothing(
    cable: tuple[Interface, Interface], recorder: Recorder, tmp_path: Path
) -> None:
    near, far = cable
    recorder.record(tmp_path / "tape", [point(far)])
    send(near, far, [b"before"])
    far.namespace.ip("link", "set", far.device, "down")
    near.namespace.ip("link", "delete", near.device)
    recorder.end(tmp_path / "tape")
    assert [packet.payload for packet in read([tmp_path / "tape"]).udp] == [b"before"]
