"""A key log opens every datagram of a run, and every byte of it has a meaning."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from clawchat.crypto.credential import make_slot
from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import data_line, parse
from clawchat.crypto.noise import Initiator
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram
from clawchat.values.limits import MIN_HELLO, TAG
from clawchat.wire.dissect import Dissection, Dissector, Kind
from clawchat.wire.frames import Close, CloseCode, Frame, Padding, Ping, Stream, encode
from clawchat.wire.handshake import (
    Hello,
    SessionParameters,
    Welcome,
    open_hello,
    seal_hello,
    seal_welcome,
    unseal_hello,
)
from clawchat.wire.packet import seal

HERE, THERE = Address("203.0.113.1", 50_001), Address("203.0.113.2", 50_002)
CID, HEADER_KEY, KEY, EPOCH = b"receiver", b"m" * 32, b"k" * 32, 3
DISSECTOR = Dissector(parse(data_line(CID, HEADER_KEY, EPOCH, KEY)))


def packet(
    body: bytes, *, number: int = 77, epoch: int = EPOCH, cid: bytes = CID, header_key: bytes = HEADER_KEY
) -> bytes:
    return seal(AESGCM(KEY), HeaderCipher(header_key), cid, epoch << 48 | number, body)


def covered(dissection: Dissection, datagram: bytes) -> bool:
    spans = dissection.spans
    whole = spans[0].start == 0 and spans[-1].stop == len(datagram)
    return whole and all(one.stop == next_.start for one, next_ in pairwise(spans))


# ---------------------------------------------------------------------------------------------------------------- DATA


def test_a_packet_is_taken_apart() -> None:
    frames: tuple[Frame, ...] = (Ping(), Stream(4, 100, fin=True, data=b"hello"), Padding(10))
    datagram = packet(b"".join(map(encode, frames)))
    found = DISSECTOR.dissect(datagram)
    assert found.kind is Kind.DATA
    assert (found.name, found.epoch, found.packet_number) == (CID, EPOCH, 77)
    assert found.contents == frames
    assert [(span.stop - span.start, span.what) for span in found.spans] == [
        (16, "header"),
        (1, "Ping"),
        (21, "Stream"),
        (10, "Padding"),
        (TAG, "tag"),
    ]
    assert covered(found, datagram)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "length"),
        (bytes(47), "length"),
        (bytes(48), "header"),
        (packet(bytes(16), cid=b"somebody"), "header"),
        (packet(bytes(16), epoch=EPOCH + 1), "header"),
        (packet(bytes(16), header_key=b"x" * 32), "header"),
        (packet(bytes(16))[:-1] + b"?", "tag"),
        (packet(bytes(16)) + b"?", "tag"),
        (packet(encode(Ping()) + bytes(15) + b"\x01"), "malformed PADDING"),
        (packet(b"\x7f" + bytes(15)), "unknown frame type 127"),
        (packet(b"\x05\x01" + bytes(6) + bytes(8)), "frames"),  # STOP with something where nothing belongs
    ],
)
def test_what_does_not_fit_is_named(datagram: bytes, reason: str) -> None:
    with pytest.raises(BadDatagram) as refused:
        DISSECTOR.dissect(datagram)
    assert refused.value.reason == reason


@given(body=st.binary(min_size=16, max_size=200))
def test_an_authentic_packet_is_accounted_for_or_refused(body: bytes) -> None:
    datagram = packet(body)
    try:
        found = DISSECTOR.dissect(datagram)
    except BadDatagram:
        return
    assert covered(found, datagram)


@given(datagram=st.binary(max_size=1300))
def test_arbitrary_bytes_are_refused(datagram: bytes) -> None:
    with pytest.raises(BadDatagram):
        DISSECTOR.dissect(datagram)


# --------------------------------------------------------------------------------------------------- HELLO and WELCOME


def handshake() -> tuple[list[str], bytes, bytes]:
    chance = random.Random(1).randbytes
    lines: list[str] = []
    slot = make_slot(
        chance, name="home", hello_header_key=b"h" * 32, candidates=[THERE], relays=[], timestamp=0, validity=1
    )
    noise = Initiator(slot.credential.prologue(), slot.keys.psk, slot.credential.server_key, chance(32), lines.append)
    said = Hello(CID, HEADER_KEY, (HERE,))
    hello = seal_hello(slot.credential, slot.keys, noise, said, random=chance, size=300, keylog=lines.append)
    heard, answerer = open_hello(unseal_hello(hello, slot), slot, keylog=lines.append)
    welcome = seal_welcome(
        slot.keys,
        answerer,
        heard,
        HeaderCipher(HEADER_KEY),
        Welcome(b"server_1", b"s" * 32, HERE, (THERE,), SessionParameters(1, 2, 3, 4, 5)),
        ephemeral=chance(32),
        random=chance,
        size=MIN_HELLO,
        keylog=lines.append,
    )
    return lines, hello, welcome


def test_a_handshake_is_taken_apart() -> None:
    lines, hello, welcome = handshake()
    dissector = Dissector(parse("\n".join(lines)))
    for datagram, kind, contents in ((hello, Kind.HELLO, Hello), (welcome, Kind.WELCOME, Welcome)):
        found = dissector.dissect(datagram)
        assert found.kind is kind
        assert isinstance(found.contents, contents)
        assert covered(found, datagram)
        assert "ephemeral key" in [span.what for span in found.spans]


@pytest.mark.parametrize("word", ["HELLO", "WELCOME", "NOISE"])
def test_without_its_line_a_datagram_stays_closed(word: str) -> None:
    lines, hello, welcome = handshake()
    dissector = Dissector(parse("\n".join(line for line in lines if not line.startswith(f"{word} "))))
    closed = {"HELLO": [hello], "WELCOME": [welcome], "NOISE": [hello, welcome]}[word]
    for datagram in closed:
        with pytest.raises(BadDatagram):
            dissector.dissect(datagram)


# -------------------------------------------------------------------------------------------------------- a whole run


class Wire:
    """Two endpoints and a wire without delay that records what passes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.datagrams: list[bytes] = []
        chance = random.Random(5).randbytes
        self.slot = make_slot(
            chance, name="home", hello_header_key=chance(32), candidates=[THERE], relays=[], timestamp=0, validity=60
        )
        self.client = Endpoint(random=chance, keylog=self.lines.append)
        self.server = Endpoint(random=chance, config=EndpointConfig(candidates=(THERE,)))
        self.server.arm(self.slot, deadline=60.0)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            while self.exchange():
                pass
            self.now += 0.005
            for endpoint in (self.client, self.server):
                endpoint.handle_timeout(now=self.now)

    def exchange(self) -> bool:
        moved = False
        for sender, receiver, source in ((self.client, self.server, HERE), (self.server, self.client, THERE)):
            for transmit in sender.transmits(now=self.now):
                moved = True
                self.record(transmit)
                receiver.receive(memoryview(bytes(transmit.data)), transmit.size, Path(1, source), now=self.now)
        return moved

    def record(self, transmit: Transmit) -> None:
        data = bytes(transmit.data)
        self.datagrams += [data[i : i + transmit.size] for i in range(0, len(data), transmit.size)]


def test_the_log_of_one_end_opens_every_byte_of_a_whole_session() -> None:
    wire = Wire()
    session_id = wire.client.connect(wire.slot.credential, port=1, now=0.0)
    wire.run(0.1)
    session = wire.client.sessions[session_id]
    stream = session.open_stream()
    sent = random.Random(6).randbytes(200_000)
    session.write(stream, sent, fin=True)
    wire.run(1.0)
    session.close(CloseCode.NONE, "done", now=wire.now)
    wire.run(0.5)

    dissector = Dissector(parse("\n".join(wire.lines)))
    found = [(dissector.dissect(datagram), datagram) for datagram in wire.datagrams]
    assert all(covered(dissection, datagram) for dissection, datagram in found)
    assert {dissection.kind for dissection, _ in found} == set(Kind)
    received = bytearray(len(sent))
    for dissection, _ in found:
        for frame in dissection.contents:
            if isinstance(frame, Stream):
                received[frame.offset : frame.offset + len(frame.data)] = frame.data
    assert received == sent
    assert any(isinstance(frame, Close) for dissection, _ in found for frame in dissection.contents)
