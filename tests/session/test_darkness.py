"""A stranger gets nothing: no byte back, no memory, no session, whatever is sent and however much of it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from tests.session.test_transfer import content
from tests.support.hostile import STRANGER, MovedError, ignores
from tests.support.pair import SERVER, End, Pair

STUN = bytes.fromhex("000100002112a442") + bytes(12)
DNS = bytes.fromhex("12340100000100000000000003777777076578616d706c6503636f6d0000010001")
QUIC = b"\xc0\x00\x00\x00\x01\x08" + bytes(1194)
WIREGUARD = b"\x01\x00\x00\x00" + bytes(144)
DTLS = bytes.fromhex("16feff0000000000000000") + bytes(100)
PROBES = [b"", b"\0", bytes(48), bytes(1200), bytes(1472), b"\xff" * 256, b"GET / HTTP/1.1\r\n\r\n", STUN, DNS, QUIC]


def house(make: type[Endpoint] = Endpoint) -> tuple[Pair, End]:
    """A busy server: one session, one half-open handshake, two armed slots, and an attempt of its own."""
    pair = Pair()
    pair.ends.remove(pair.server)
    pair.server = pair.place("server", SERVER, make)
    pair.handshake()
    pair.client.open(content("house", 30_000))
    pair.invite(name="free")
    late = pair.add("late", Address("203.0.113.20", 2020))
    pair.join(pair.invite(name="late"), late)
    elsewhere = Pair(seed=50)
    pair.join(elsewhere.invite(), pair.server)
    pair.drive(0.03)
    late.link.up = False
    pair.drive(0.1)
    assert len(pair.server.endpoint.sessions) == 2
    return pair, pair.server


def overheard() -> list[bytes]:
    """Return datagrams of other people's networks."""
    pair = Pair(seed=7).handshake()
    pair.client.open(content("other people", 20_000))
    pair.drive()
    return [sent.data for sent in pair.datagrams]


def strangers(count: int) -> Iterator[tuple[bytes, int]]:
    """Yield as many datagrams, alone or in batches, of every kind a stranger can make."""
    chance = random.Random(1)
    known = [*PROBES, WIREGUARD, DTLS, *overheard()]
    while count > 0:
        match chance.randrange(4):
            case 0:
                data = chance.randbytes(chance.randrange(1, 1600))
                yield data, len(data)
                count -= 1
            case 1:
                data = chance.choice(known)
                yield data, len(data)
                count -= 1
            case 2:
                flipped = bytearray(chance.choice(known) or b"\0")
                flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
                yield bytes(flipped), len(flipped)
                count -= 1
            case _:
                size = chance.choice([1, 47, 48, 56, 64, 256, 1200, 1280, 1440, 1472])
                number = min(chance.randrange(2, 65), 65_000 // size, count)
                yield chance.randbytes(size * number), size
                count -= number


def stays_dark(pair: Pair, end: End, count: int) -> None:
    """Raise MovedError if any of many strangers gets an end to do anything."""
    sessions, armed, due = list(end.endpoint.sessions), end.endpoint.armed, end.endpoint.next_timeout()
    dropped, said = sum(end.endpoint.drops.values()), len(pair.datagrams)
    ignores(pair, end, b"first of many")
    for data, size in strangers(count):
        source = Address("203.0.113.66", 1024 + (len(data) * 7919) % 60_000)
        pair.inject(end, data, source, size=size)
        if end.endpoint.transmits(now=pair.now):
            raise MovedError("it answered")
    ignores(pair, end, b"last of many")
    assert list(end.endpoint.sessions) == sessions
    assert (end.endpoint.armed, end.endpoint.next_timeout()) == (armed, due)
    assert sum(end.endpoint.drops.values()) == dropped + count + 2
    assert len(pair.datagrams) == said


def test_twenty_thousand_strangers_get_nothing() -> None:
    pair, server = house()
    stays_dark(pair, server, 20_000)
    assert set(server.endpoint.drops) <= {"length", "unknown"}
    stream = pair.client.open(b"and those inside noticed nothing")
    pair.drive(2)
    assert pair.server.heard(stream) == b"and those inside noticed nothing"


def test_an_endpoint_that_has_never_met_anybody_is_as_dark() -> None:
    pair = Pair()
    stays_dark(pair, pair.server, 3_000)
    assert pair.server.endpoint.next_timeout() is None


# --- does the check see anything? ---------------------------------------------------------------------


class Polite(Endpoint):
    """Answer a stranger once in a while, as most protocols do."""

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]  # handed on as they are
        self._answers: list[Transmit] = []

    def receive(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        dropped = self.drops["unknown"]
        super().receive(data, size, path, now=now)
        if self.drops["unknown"] // 100 > dropped // 100:
            self._answers.append(Transmit(b"go away", 7, path))

    def transmits(self, *, now: float) -> list[Transmit]:
        answers, self._answers = self._answers, []
        return answers + super().transmits(now=now)


class Collector(Endpoint):
    """Remember who knocked."""

    def __init__(self, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]  # handed on as they are
        self.callers: set[Address] = set()

    def receive(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        super().receive(data, size, path, now=now)
        if path.remote.port % 50 == 0:
            self.callers.add(path.remote)


def test_an_endpoint_that_answers_is_found_out() -> None:
    pair, server = house(Polite)
    with pytest.raises(MovedError, match="answered"):
        stays_dark(pair, server, 1000)


def test_an_endpoint_that_remembers_is_found_out() -> None:
    pair, server = house(Collector)
    ignores(pair, server, b"knock knock", source=STRANGER._replace(port=49))
    with pytest.raises(MovedError, match="remembers"):
        ignores(pair, server, b"knock knock", source=STRANGER._replace(port=50))
