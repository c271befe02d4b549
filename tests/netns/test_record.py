"""A session recorded on the wire: what the handshake costs, and that the keys account for every byte of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import pytest

from clawchat.crypto import keylog
from clawchat.values.errors import BadDatagram
from clawchat.wire.dissect import Dissection, Dissector, Kind
from clawchat.wire.frames import Stream
from lab.capture.recording import Point, Recorder
from lab.verify.reading import read
from tests.netns.ends import ECHO, UPLOAD
from tests.netns.ground import Ground
from tests.netns.work import MIB, blocks

pytestmark = pytest.mark.netns


class Recorded(NamedTuple):
    """One UDP payload; ``sent``: it left the client."""

    sent: bool
    payload: bytes


Run = tuple[list[Recorded], Dissector]


def record(ground: Ground, *, greeting: str = "", upload: int = 0) -> Run:
    """Record a whole session, in which a message is echoed and perhaps more is uploaded."""
    for end in (ground.server, ground.client):
        end.offloads(gro=False)  # or the recorder would see datagrams after they were put together
    device, tape, keys = ground.client, ground.folder / "tape", ground.folder / "keys"
    server = ground.start_server()
    with Recorder() as recorder:
        recorder.record(tape, [Point(str(device.namespace.path), device.device, "client")])
        client = ground.start_client()
        client.ask("connect", greeting=greeting)
        assert client.ask("echo", text="hello")["answer"] == "hello"
        if upload:
            moved = client.ask("upload", size=upload)
            assert moved["sha256"] == moved["expected"]
        client.ask("close")
        server.ask("keys", file=str(keys))
        assert recorder.end(tape).lost == 0
    own = {str(address.ip) for address in device.addresses}
    recorded = [Recorded(packet.source[0] in own, packet.payload) for packet in read([tape]).udp]
    return recorded, Dissector(keylog.parse(keys.read_text("ascii")))


def streams(packet: Dissection) -> list[Stream]:
    return [frame for frame in packet.contents if isinstance(frame, Stream)] if packet.kind is Kind.DATA else []


def said(packet: Dissection) -> bytes:
    """Return the stream bytes that a packet carries."""
    return b"".join(bytes(frame.data) for frame in streams(packet))


def test_the_first_message_leaves_after_one_round_trip_and_two_packets(
    ground: Ground, figure: Callable[[str], None]
) -> None:
    recorded, dissector = record(ground, greeting="good morning")
    opened = [(entry.sent, dissector.dissect(entry.payload)) for entry in recorded]

    assert [(sent, packet.kind) for sent, packet in opened[:3]] == [
        (True, Kind.HELLO),
        (False, Kind.WELCOME),
        (True, Kind.DATA),
    ]
    assert {packet.kind for _, packet in opened[2:]} == {Kind.DATA}
    # A probe of the path's size goes first; the message leaves with it and waits for nothing.
    _, *first_flight = (packet for sent, packet in opened if sent)
    assert ECHO + b"good morning" in {said(packet) for packet in first_flight[:2]}
    hello, welcome = (len(entry.payload) for entry in recorded[:2])
    assert welcome <= hello
    answered = next(index for index, (sent, packet) in enumerate(opened) if not sent and said(packet))
    assert said(opened[answered][1]) == b"good morning"
    figure(f"HELLO {hello} B, WELCOME {welcome} B, then the message; its echo is packet {answered + 1}")


def test_a_recorded_session_opens_to_its_last_byte(ground: Ground, figure: Callable[[str], None]) -> None:
    recorded, dissector = record(ground, upload=2 * MIB)
    pieces: dict[int, dict[int, bytes]] = {}
    kinds: Counter[str] = Counter()
    meaning: Counter[str] = Counter()
    for sent, payload in recorded:
        dissection = dissector.dissect(payload)
        kinds[dissection.kind.value] += 1
        assert dissection.spans[0].start == 0
        assert dissection.spans[-1].stop == len(payload)
        assert all(before.stop == after.start for before, after in pairwise(dissection.spans))
        meaning.update({span.what: span.stop - span.start for span in dissection.spans})
        for frame in streams(dissection) if sent else ():
            pieces.setdefault(frame.stream, {})[frame.offset] = bytes(frame.data)

    total = sum(len(payload) for _, payload in recorded)
    assert meaning.total() == total
    # What the client said, put together from the recording alone.
    _, uploaded = (joined(parts) for _, parts in sorted(pieces.items()))
    assert uploaded == UPLOAD + b"".join(blocks(2 * MIB))
    figure(f"{total} bytes of {kinds.total()} datagrams opened: {dict(kinds)}, as {dict(meaning.most_common())}")


def joined(pieces: dict[int, bytes]) -> bytes:
    """Put a stream together; what was sent again is there twice."""
    whole = b""
    for offset, data in sorted(pieces.items()):
        assert offset <= len(whole), "a piece is missing"
        whole += data[len(whole) - offset :]
    return whole


def test_one_flipped_bit_and_nothing_opens(ground: Ground) -> None:
    recorded, dissector = record(ground)
    chance = random.Random(3)
    by_kind: dict[Kind, bytes] = {}
    for _, payload in recorded:
        by_kind.setdefault(dissector.dissect(payload).kind, payload)
        refused(dissector, payload, chance.randrange(len(payload) * 8))
    assert set(by_kind) == set(Kind)
    for payload in by_kind.values():
        for bit in range(len(payload) * 8):
            refused(dissector, payload, bit)


def refused(dissector: Dissector, payload: bytes, bit: int) -> None:
    flipped = bytearray(payload)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadDatagram):
        dissector.dissect(bytes(flipped))
