"""A hub and its clients are killed, and live on from what they recorded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from clawchat.services.chat import Message, Say, ToClient
from clawchat.services.chat_client import ChatClient
from clawchat.services.chat_codec import ServerDecoder, encode
from clawchat.services.chat_hub import LEFT, LOST, Hub
from clawchat.services.chat_ledger import MAX_LEDGER_BYTES, MAX_REMEMBERED_IDS, MAX_TOKENS, Ledger
from clawchat.services.chat_memory import ClientMemory, Record
from clawchat.services.preface import PrefaceReader
from clawchat.values.errors import ProtocolViolation

NOW = 1_700_000_000


class Server:
    """A hub whose records are all that is left of it when it is killed."""

    def __init__(self) -> None:
        self.journal: list[Record] = []
        self.starts = count(1_000_000, 1_000_000)
        self.start()

    def start(self) -> None:
        ledger = Ledger(self.journal, self.journal.append)
        self.hub = Hub(server="home", first_number=next(self.starts), ledger=ledger)

    def compact(self) -> None:
        self.journal[:] = Ledger(self.journal).records()


class Client:
    """A chat client whose records are all that is left of it when it is killed."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.served_by = server.hub
        self.journal: list[Record] = []
        self.shown: list[str] = []
        self.start()

    def start(self) -> None:
        self.member: int | None = None
        self.chat = ChatClient(self.name, token=self.name, memory=ClientMemory(self.journal, self.journal.append))

    def connect(self) -> None:
        self.hang_up()
        self.chat.start()
        self.preface, self.decoder = PrefaceReader(), ServerDecoder()
        found = self.preface.feed(self.chat.outgoing())
        assert found is not None
        self.served_by = self.server.hub
        self.member = self.served_by.attach()
        self.deliver(found[1])
        # A hub that is told of another stream of ours lets go of this one; we have but one.
        self.server.hub.displaced.clear()

    def hang_up(self, why: str = LOST) -> None:
        if self.member is not None and self.served_by is self.server.hub:
            self.server.hub.detach(self.member, why)
        self.member = None

    @property
    def here(self) -> bool:
        return self.member is not None and self.served_by is self.server.hub

    def say(self, text: str) -> None:
        self.chat.say(text)

    def send(self) -> None:
        if self.here:
            self.deliver(self.chat.outgoing())

    def deliver(self, data: bytes) -> None:
        assert self.member is not None
        for message in self.decoder.feed(data):
            self.server.hub.receive(self.member, message, unix_now=NOW)

    def read(self, most: int = 100) -> None:
        if self.here:
            assert self.member is not None
            told = self.server.hub.take(self.member, most)
            self.show(self.chat.receive(b"".join(map(encode, told))))

    def show(self, told: list[ToClient]) -> None:
        self.shown += [each.text for each in told if isinstance(each, Message)]


def talk(*clients: Client) -> None:
    """Let everything arrive that is under way."""
    for _ in range(6):
        for client in clients:
            client.send()
            client.read()


@pytest.fixture
def server() -> Server:
    return Server()


def test_both_are_killed_and_what_was_not_delivered_arrives_once(server: Server) -> None:
    ann, bob = Client(server, "ann"), Client(server, "bob")
    ann.connect()
    bob.connect()
    talk(ann, bob)
    ann.say("one")
    talk(ann, bob)
    ann.say("two")
    ann.send()  # the hub has it, bob has not, and ann does not know
    ann.say("three")  # nobody has it
    server.start()
    ann.start()
    bob.start()
    assert ann.chat.unaccepted == 2
    ann.connect()
    bob.connect()
    talk(ann, bob)
    assert bob.shown == ["one", "two", "three"]
    assert ann.chat.unaccepted == 0


def test_a_client_without_a_memory_begins_its_ids_anew(server: Server) -> None:
    ann, bob = Client(server, "ann"), Client(server, "bob")
    ann.connect()
    bob.connect()
    ann.say("one")
    talk(ann, bob)
    ann.hang_up()
    ann.journal.clear()
    ann.start()
    ann.connect()
    talk(ann, bob)
    server.start()  # the hub must not take the new "1" for the old one
    bob.connect()
    ann.connect()
    ann.say("two")
    talk(ann, bob)
    assert bob.shown == ["one", "two"]


@pytest.mark.parametrize("record", [{}, {"said": {"type": "hello", "name": "x"}}, {"seen": "x"}, {"said": 5}])
def test_what_is_no_record_is_refused(record: Record) -> None:
    with pytest.raises((ValueError, ProtocolViolation)):
        ClientMemory([record])
    with pytest.raises((ValueError, ProtocolViolation)):
        Ledger([record])


def test_a_ledger_is_bounded() -> None:
    records: list[Record] = []
    ledger = Ledger(record=records.append)
    text = "x" * 16_000
    for number in range(1000):
        ledger.say(Message(number, "ann", text, NOW, "lobby"), f"t{number % 400}", str(number), ["bob"])
    assert sum(len(one.message.text) for one in ledger.undelivered.values()) <= MAX_LEDGER_BYTES
    assert len(ledger.said) <= MAX_TOKENS
    for number in range(1000, 2000):
        ledger.say(Message(number, "ann", "x", NOW, "lobby"), "one", str(number), [])
    assert len(ledger.said["one"]) == MAX_REMEMBERED_IDS
    again = Ledger(ledger.records())
    assert (again.said, again.undelivered.keys()) == (ledger.said, ledger.undelivered.keys())
    ledger.forget("bob")
    assert not ledger.undelivered


class Lives(RuleBasedStateMachine):
    """Whatever is killed, cut off and compacted, in whatever order: what is said arrives once, in the end."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.ann, self.bob = Client(self.server, "ann"), Client(self.server, "bob")
        self.said: list[str] = []
        # Nobody hears what was said before they first came.
        self.everybody(Client.connect)
        talk(self.ann, self.bob)

    def everybody(self, what: Callable[[Client], None]) -> None:
        for client in (self.ann, self.bob):
            what(client)

    @rule()
    def say(self) -> None:
        text = str(len(self.said))
        self.said.append(text)
        self.ann.say(text)

    @rule(most=st.integers(1, 3))
    def move(self, most: int) -> None:
        self.ann.send()
        self.bob.read(most)
        self.bob.send()
        self.ann.read(most)

    @rule()
    def kill_server(self) -> None:
        self.server.start()

    @rule(who=st.sampled_from(["ann", "bob"]))
    def kill_client(self, who: str) -> None:
        client: Client = getattr(self, who)
        client.hang_up()
        client.start()

    @rule(who=st.sampled_from(["ann", "bob"]))
    def reconnect(self, who: str) -> None:
        client: Client = getattr(self, who)
        client.connect()

    @rule()
    def compact(self) -> None:
        self.server.compact()
        for client in (self.ann, self.bob):
            client.journal[:] = ClientMemory(client.journal).records()

    @invariant()
    def nothing_twice(self) -> None:
        assert len(self.bob.shown) == len(set(self.bob.shown))

    def teardown(self) -> None:
        self.everybody(Client.connect)
        talk(self.bob, self.ann)
        talk(self.bob, self.ann)
        assert sorted(self.bob.shown, key=int) == self.said


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_a_text_under_way_is_said_again_with_its_id(server: Server) -> None:
    ann = Client(server, "ann")
    ann.say("hi")
    ann.start()
    ann.chat.start()
    found = PrefaceReader().feed(ann.chat.outgoing())
    assert found is not None
    assert Say("1", "hi") in ServerDecoder().feed(found[1])


def test_who_was_lost_hears_what_was_said_meanwhile_and_who_left_does_not(server: Server) -> None:
    ann, bob, eve = (Client(server, name) for name in ("ann", "bob", "eve"))
    for client in (ann, bob, eve):
        client.connect()
    talk(ann, bob, eve)
    bob.hang_up(LOST)
    eve.hang_up(LEFT)
    ann.say("where are you?")
    talk(ann)
    server.start()
    for client in (ann, bob, eve):
        client.connect()
    talk(ann, bob, eve)
    assert (bob.shown, eve.shown) == (["where are you?"], [])


def test_who_was_lost_is_back_in_its_rooms(server: Server) -> None:
    ann, bob = Client(server, "ann"), Client(server, "bob")
    ann.connect()
    bob.connect()
    bob.chat.join("kitchen")
    talk(ann, bob)
    server.start()
    bob.start()  # its program was killed, and does not know of the room
    bob.connect()
    talk(bob)
    assert bob.chat.rooms == {"kitchen", "lobby"}
