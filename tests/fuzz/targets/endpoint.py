"""Endpoints, fed by strangers, by messengers and by a peer with the right keys."""

from __future__ import annotations

from functools import cache

from clawchat.session.state import State
from clawchat.values.address import Address
from clawchat.values.limits import MAX_DATAGRAM, MAX_PACKET_NUMBER, OVERHEAD
from clawchat.wire.frames import padded
from tests.support.forge import Forger
from tests.support.link import Link
from tests.support.pair import End, Pair

STRANGER = Address("203.0.113.77", 7777)


@cache
def _talking() -> tuple[Pair, End]:
    """A server with a session, a half-open one and an armed slot."""
    pair = Pair(seed=701).handshake()  # not the run whose packets are in the corpus
    pair.drive()
    pair.join(pair.invite(name="half"))
    pair.drive(until=lambda: len(pair.server.endpoint.sessions) > 1)
    pair.invite(name="free")
    pair.serve(pair.server)
    return pair, pair.server


@cache
def _asking() -> tuple[Pair, End]:
    """A client whose HELLO nobody answers."""
    pair = Pair(seed=702, link=Link(up=False))
    pair.join(pair.invite())
    pair.drive(3)
    return pair, pair.client


def stranger(data: bytes) -> None:
    """What a stranger sends in batches of any size raises nothing, tells nothing and gets no answer."""
    if len(data) < 2:
        return
    size = int.from_bytes(data[:2], "big") % (MAX_DATAGRAM + 2) + 1
    for pair, end in (_talking(), _asking()):
        endpoint, dropped = end.endpoint, sum(end.endpoint.drops.values())
        pair.inject(end, data[2:], STRANGER, size=size)
        assert not list(endpoint.events())
        assert not endpoint.transmits(now=pair.now)
        assert sum(endpoint.drops.values()) == dropped + max(1, -(-len(data[2:]) // size))


def carried(data: bytes) -> None:
    """What a messenger brings that is no HELLO and no WELCOME is taken for none."""
    pair, end = _talking()
    assert end.endpoint.accept_hello(data, port=0, now=pair.now) is None
    pair, end = _asking()
    assert end.endpoint.accept_welcome(data, port=0, now=pair.now) is None


MOST_USES = 200  # fewer than the streams that a session allows


class _Victims:
    """A session at a time, for as long as it bears what is said to it."""

    def __init__(self) -> None:
        self.pair: Pair | None = None
        self.forger: Forger | None = None
        self.uses = 0

    def next(self) -> tuple[Pair, Forger]:
        if self.pair is None or self.forger is None or self.uses > MOST_USES or _over(self.pair):
            self.pair = Pair(keylog=True).handshake()
            self.pair.drive()
            self.forger, self.uses = Forger(self.pair, self.pair.server), 0
        self.uses += 1
        return self.pair, self.forger


def _over(pair: Pair) -> bool:
    return any(end.session.state is not State.OPEN for end in pair.ends)


_victims = _Victims()


def authentic(data: bytes) -> None:
    """Whatever a peer with the right keys says, it is heard or ends the session, and raises nothing."""
    if len(data) < 3:
        return
    pair, forger = _victims.next()
    choice, number = data[0], int.from_bytes(data[1:3], "big")
    if choice & 2:
        pair.client.open(b"something under way")
    body = padded(data[3 : 3 + MAX_DATAGRAM - OVERHEAD])
    packet = forger.packet(body=body, number=number if choice & 1 else None, epoch=choice >> 7)
    assert number <= MAX_PACKET_NUMBER
    forger.deliver(packet)
    if choice & 4:
        pair.drive(0.5)
    else:
        pair.serve(pair.server)
    assert pair.server.session.state in {State.OPEN, State.CLOSING, State.CLOSED}


TARGETS = {"stranger": stranger, "carried": carried, "authentic": authentic}
