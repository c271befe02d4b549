"""Two ends that exchange HELLO and WELCOME by something slow, and find each other through their NATs."""

from __future__ import annotations

import copy
import itertools
from random import Random

import pytest

from clawchat.crypto.credential import Credential, make_slot
from clawchat.session.config import EndpointConfig
from clawchat.values.address import Address
from clawchat.values.errors import HandshakeFailed, PathsExhausted
from clawchat.values.events import Event, SessionEnded, SessionOpened, SlotConfirmed, StreamReadable
from clawchat.values.limits import MAX_MEETINGS, MEETING_LIFE, MEETING_TIMEOUT
from lab.model.plan import plan
from lab.model.topology import row
from lab.sim.internet import Internet
from lab.sim.party import Party
from lab.sim.way import DEFAULT_TTL, Datagram

OPEN = "open"
PORT_RESTRICTED = "port-restricted"
POISONABLE = "poisonable-home"
SYMMETRIC = "symmetric-random"
LATENCIES = (0.0, 5.0, 60.0)
START = 5.0
PRIME_TTL = 2  # past the gateway, up to the router behind it


class Folder:
    """Two ends behind NATs of these kinds; what one writes, the other reads ``latency`` seconds later."""

    def __init__(self, asking: str, answering: str, *, latency: float = 0.0, seed: int = 1) -> None:
        self.net = Internet(plan(row([asking, answering])), seed=seed)
        self.latency = latency
        self.told: dict[str, list[Event]] = {"client": [], "server": []}
        self.full: list[tuple[float, str]] = []  # when who sent something with the usual time to live
        ends = list(self.net.plan.peers.values())
        self.client = Party(self.net, ends[0].name, ends[0].address, self.told["client"].append, seed=seed)
        self.server = Party(
            self.net,
            ends[1].name,
            ends[1].address,
            self.told["server"].append,
            seed=seed + 1,
            config=EndpointConfig(handshake_rate=1e9),
        )
        self.random = Random(seed)
        self.opened_at: float | None = None
        self.read_at: float | None = None
        self._names = {ends[0].name: "client", ends[1].name: "server"}
        self._watch()
        for end in (self.client, self.server):
            own = end.open()
            end.endpoint.scout.set_depth(PRIME_TTL)
            end.endpoint.candidates = (own, self.seen_from_outside(end, own))
        self.credential = self.invite()

    def _watch(self) -> None:
        send = self.net.send

        def watched(node: str, datagram: Datagram) -> None:
            if datagram.ttl == DEFAULT_TTL:
                self.full.append((self.net.now, self._names[node]))
            send(node, datagram)

        self.net.send = watched  # type: ignore[method-assign]

    def seen_from_outside(self, end: Party, own: Address) -> Address:
        """Say what a STUN server would: which address a port is seen from."""
        nat = self.net.gateway(self.net.plan.peers[end.node].gateway)
        return own if nat is None else nat.outbound(own, Address("203.0.113.1", 3478), self.net.now) or own

    def invite(self) -> Credential:
        slot = make_slot(
            self.random.randbytes,
            name="ann",
            hello_header_key=bytes(32),
            candidates=self.server.endpoint.candidates,
            relays=[],
            timestamp=0,
            validity=660,
        )
        credential = copy.deepcopy(slot.credential)
        self.server.endpoint.arm(slot, deadline=1e6)
        return credential

    def exchange(self, *, say_when_read: bool = False) -> None:
        self.net.at(START, lambda: self._write_hello(say_when_read=say_when_read))

    def _write_hello(self, *, say_when_read: bool) -> None:
        offer = self.client.endpoint.offer(self.credential, port=0, now=self.net.now)
        self.client.flush()
        self.net.at(self.net.now + self.latency, lambda: self._write_welcome(offer.hello, say_when_read=say_when_read))

    def _write_welcome(self, hello: bytes, *, say_when_read: bool) -> None:
        accepted = self.server.endpoint.accept_hello(hello, port=0, now=self.net.now)
        assert accepted is not None
        self.server.flush()
        when = self.net.now + self.latency
        self.net.at(when, lambda: self._read_welcome(accepted.welcome))
        if say_when_read:
            self.net.at(when + self.latency, lambda: self._was_read(accepted.session))

    def _read_welcome(self, welcome: bytes) -> None:
        self.read_at = self.net.now
        if self.opened("client") is None:
            assert self.client.endpoint.accept_welcome(welcome, port=0, now=self.net.now) is not None
        self.client.flush()

    def _was_read(self, session: int) -> None:
        self.server.endpoint.answer_was_read(session, now=self.net.now)
        self.server.flush()

    def opened(self, end: str) -> SessionOpened | None:
        return next((event for event in self.told[end] if isinstance(event, SessionOpened)), None)

    def run(self, seconds: float = 300.0) -> bool:
        """Let time pass until both ends have their session; tell whether they have."""
        found = self.net.run(START + seconds, stop=lambda: all(self.opened(end) is not None for end in self.told))
        self.opened_at = self.net.now
        return found


@pytest.mark.parametrize("latency", LATENCIES)
@pytest.mark.parametrize(
    ("asking", "answering"),
    [*itertools.product((PORT_RESTRICTED, POISONABLE), repeat=2), (OPEN, PORT_RESTRICTED), (PORT_RESTRICTED, OPEN)],
)
def test_two_ends_meet_without_a_relay(asking: str, answering: str, latency: float) -> None:
    folder = Folder(asking, answering, latency=latency)
    folder.exchange()
    assert folder.run()
    assert folder.opened_at is not None
    assert folder.read_at is not None
    assert folder.opened_at - folder.read_at < 0.1
    client, server = folder.opened("client"), folder.opened("server")
    assert client is not None
    assert server is not None
    assert client.words == server.words
    assert not client.path.relayed
    assert any(isinstance(event, SlotConfirmed) for event in folder.told["server"])


@pytest.mark.parametrize("latency", LATENCIES)
def test_nothing_crosses_the_network_before_the_answer_is_read(latency: float) -> None:
    folder = Folder(PORT_RESTRICTED, PORT_RESTRICTED, latency=latency)
    folder.exchange()
    assert folder.run()
    assert folder.read_at is not None
    assert min(when for when, _ in folder.full) >= folder.read_at


def test_ends_so_near_that_what_should_die_on_the_way_arrives_meet_at_once() -> None:
    folder = Folder(OPEN, OPEN, latency=60.0)
    folder.client.endpoint.scout.set_depth(None)
    folder.client.endpoint.offer(folder.credential, port=0, now=0.0)
    folder.client.flush()
    assert folder.run()
    assert folder.opened_at is not None
    assert folder.opened_at < 1


def test_data_flows_on_the_path_that_was_found() -> None:
    folder = Folder(PORT_RESTRICTED, PORT_RESTRICTED, latency=5.0)
    folder.exchange()
    assert folder.run()
    opened = folder.opened("client")
    assert opened is not None
    session = folder.client.endpoint.sessions[opened.session]
    stream = session.open_stream()
    session.write(stream, b"hello", fin=True)
    folder.client.flush()
    folder.net.run(folder.net.now + 1.0)
    readable = next(event for event in folder.told["server"] if isinstance(event, StreamReadable))
    assert folder.server.endpoint.sessions[readable.session].read(readable.stream) == b"hello"
    assert 0 <= session.stats(now=folder.net.now).rtt < 0.5


def test_an_asker_whose_ports_nobody_can_guess_is_reached_by_nobody_and_told_so() -> None:
    folder = Folder(SYMMETRIC, SYMMETRIC)
    folder.exchange(say_when_read=True)
    assert not folder.run(MEETING_TIMEOUT + 10)
    ended = next(event for event in folder.told["client"] if isinstance(event, SessionEnded))
    assert isinstance(ended.error, PathsExhausted)
    assert not folder.client.endpoint.sessions


def test_an_answering_end_that_knows_its_answer_was_read_fires_too() -> None:
    # the asker lets everybody in, and the server is seen from a port that nobody can know before it sends
    folder = Folder("full-cone", SYMMETRIC)
    folder.exchange(say_when_read=True)
    assert folder.run(60)


def test_an_offer_may_go_all_the_way_too() -> None:
    folder = Folder(PORT_RESTRICTED, OPEN)
    folder.client.endpoint.offer(folder.credential, port=0, now=0.0, direct=True)
    folder.client.flush()
    assert folder.run(1)


def test_an_offer_that_nobody_answers_ends() -> None:
    folder = Folder(PORT_RESTRICTED, PORT_RESTRICTED)
    folder.client.endpoint.offer(folder.credential, port=0, now=0.0)
    folder.client.flush()
    folder.net.run(MEETING_LIFE + 1)
    assert isinstance(folder.told["client"][-1], SessionEnded)
    assert isinstance(folder.told["client"][-1].error, HandshakeFailed)


def test_an_answer_that_nobody_reads_is_forgotten() -> None:
    folder = Folder(PORT_RESTRICTED, PORT_RESTRICTED)
    offer = folder.client.endpoint.offer(folder.credential, port=0, now=0.0)
    assert folder.server.endpoint.accept_hello(offer.hello, port=0, now=0.0)
    folder.server.flush()
    assert folder.server.endpoint.sessions
    folder.net.run(MEETING_LIFE + 1)
    assert not folder.server.endpoint.sessions
    assert folder.told["server"] == []


def test_what_is_not_authentic_or_not_new_is_refused_and_counted() -> None:
    folder = Folder(OPEN, OPEN)
    server, client = folder.server.endpoint, folder.client.endpoint
    hello = client.offer(folder.credential, port=0, now=0.0).hello
    for bad in (b"", b"short", bytes(700), hello[:-1], hello[:-1] + bytes([hello[-1] ^ 1]), bytes(5000)):
        assert server.accept_hello(bad, port=0, now=0.0) is None
        assert client.accept_welcome(bad, port=0, now=0.0) is None
    accepted = server.accept_hello(hello, port=0, now=0.0)
    assert accepted is not None
    assert server.accept_hello(hello, port=0, now=0.0) is None
    assert client.accept_welcome(accepted.welcome[:-1] + b"x", port=0, now=0.0) is None
    assert client.accept_welcome(accepted.welcome, port=0, now=0.0) is not None
    assert client.accept_welcome(accepted.welcome, port=0, now=0.0) is None
    assert server.drops.total() == 7
    assert server.drops["repeat"] == 1


def test_an_end_that_stops_says_nothing_to_those_who_may_have_its_answer() -> None:
    folder = Folder(OPEN, OPEN)
    offer = folder.client.endpoint.offer(folder.credential, port=0, now=0.0)
    server = folder.server.endpoint
    assert server.accept_hello(offer.hello, port=0, now=0.0)
    folder.server.flush()
    server.close_all(now=0.0, code=0, reason="")
    assert not server.sessions
    assert server.transmits(now=0.0) == []


def test_only_so_many_answers_wait() -> None:
    folder = Folder(OPEN, OPEN)
    offers = [folder.client.endpoint.offer(folder.credential, port=0, now=0.0) for _ in range(MAX_MEETINGS + 1)]
    accepted = [folder.server.endpoint.accept_hello(each.hello, port=0, now=0.0) for each in offers]
    assert [each is not None for each in accepted] == [True] * MAX_MEETINGS + [False]


def test_a_mailbox_names_an_armed_slot() -> None:
    folder = Folder(OPEN, OPEN)
    server, slot_id = folder.server.endpoint, folder.credential.slot_id
    assert server.mailboxes == {slot_id: bytes(folder.credential.keys().mailbox)}
    server.disarm(slot_id)
    assert server.mailboxes == {}
