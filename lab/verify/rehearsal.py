"""A genuine session without a network: what controls are made from."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address
from random import Random
from typing import Final, NamedTuple

from clawchat.crypto.credential import make_slot
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address, Path
from lab.verify.frames import ETHERNET, IPV4, UDP, Place
from lab.verify.reading import Capture, Recorded

HERE: Final = Address("198.51.100.7", 40_000)
THERE: Final = Address("203.0.113.9", 50_000)
STEP: Final = 0.005
"""Seconds between two turns."""

QUIET: Final = 1.0
"""Seconds without a word after which an end has said all it has to."""

VALIDITY: Final = 600
_ETHERNET: Final = bytes.fromhex("020000000001020000000002") + IPV4.to_bytes(2, "big")
_IPV4_HEADER: Final = struct.Struct(">BBHHHBBH4s4s")
_UDP_HEADER: Final = struct.Struct(">HHHH")


class Sent(NamedTuple):
    """A UDP payload and its way."""

    source: Place
    destination: Place
    payload: bytes


class Rehearsal(NamedTuple):
    """A whole session, from its HELLO to its farewell, and the key log of its client."""

    sent: tuple[Sent, ...]
    keylog: str
    text: str
    """What was said in it, many times."""


def frame(sent: Sent) -> bytes:
    """Return the Ethernet frame that carries a payload."""
    length = _UDP_HEADER.size + len(sent.payload)
    source, destination = (IPv4Address(place[0]).packed for place in (sent.source, sent.destination))
    packet = _IPV4_HEADER.pack(0x45, 0, _IPV4_HEADER.size + length, 0, 0, 64, UDP, 0, source, destination)
    return _ETHERNET + packet + _UDP_HEADER.pack(sent.source[1], sent.destination[1], length, 0) + sent.payload


def captured(sent: Sequence[Sent], *, point: str = "wire") -> Capture:
    """Return the capture of these datagrams, a millisecond apart."""
    capture = Capture()
    for number, one in enumerate(sent):
        capture.add(Recorded(point, number * 1_000_000, ETHERNET, frame(one), whole=True))
    return capture


def rehearse(seed: int = 1, *, text: str = "meet me at the old harbour", size: int = 30_000) -> Rehearsal:
    """Let two endpoints shake hands, say a text again and again, each time with other keys, and part."""
    chance = Random(seed)
    lines: list[str] = []
    slot = make_slot(
        chance.randbytes,
        name="rehearsal",
        hello_header_key=chance.randbytes(32),
        candidates=[THERE],
        relays=[],
        timestamp=0,
        validity=VALIDITY,
    )
    client = Endpoint(random=chance.randbytes, keylog=lines.append)
    server = Endpoint(random=chance.randbytes, config=EndpointConfig(candidates=(THERE,)))
    server.arm(slot, deadline=float(VALIDITY))
    wire = _Wire(client, server)
    session_id = client.connect(slot.credential, port=1, now=wire.now)
    wire.run_until_quiet()
    session = client.sessions[session_id]
    said = (text.encode() * (size // len(text) + 1))[:size]
    for _ in range(2):
        session.write(session.open_stream(), said, fin=True)
        wire.run_until_quiet()
        session.rekey()
        wire.run_until_quiet()
    session.close(0, "enough", now=wire.now)
    wire.run_until_quiet()
    return Rehearsal(tuple(wire.sent), "\n".join(dict.fromkeys(lines)), text)


class _Wire:
    """Carries what either endpoint sends to the other, at once, and remembers it."""

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        self.now = 0.0
        self.sent: list[Sent] = []
        self._ends = ((client, server, HERE, THERE), (server, client, THERE, HERE))

    def run_until_quiet(self) -> None:
        """Let time pass until nothing was said for a while."""
        quiet_at = self.now + QUIET
        while self.now < quiet_at:
            while self._turn():
                quiet_at = self.now + QUIET
            self.now += STEP
            for endpoint, *_ in self._ends:
                endpoint.handle_timeout(now=self.now)

    def _turn(self) -> bool:
        before = len(self.sent)
        for sender, receiver, source, destination in self._ends:
            for transmit in sender.transmits(now=self.now):
                data = bytes(transmit.data)
                for at in range(0, len(data), transmit.size):
                    payload = data[at : at + transmit.size]
                    self.sent.append(Sent(source, destination, payload))
                receiver.receive(memoryview(data), transmit.size, Path(1, source), now=self.now)
        return len(self.sent) > before
