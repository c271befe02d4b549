"""A week of one conversation in virtual time, through everything that happens to machines and networks in a week."""

from __future__ import annotations

import copy
import itertools
from functools import partial
from random import Random

from clawchat.crypto.credential import Credential, Slot, make_slot
from clawchat.crypto.secfile import check_fresh
from clawchat.services.chat import Message
from clawchat.services.chat_client import ChatClient
from clawchat.services.chat_hub import Hub
from clawchat.services.chat_ledger import Ledger
from clawchat.services.chat_memory import Record
from clawchat.services.handover import HandoverReader, write_handover
from clawchat.services.preface import PrefaceReader
from clawchat.session.config import EndpointConfig
from clawchat.session.session import Session
from clawchat.values.events import (
    Event,
    KeysChanged,
    PingAnswered,
    SessionEnded,
    SessionOpened,
    SlotConfirmed,
    StreamOpened,
    StreamReadable,
)
from lab.model.plan import plan
from lab.model.topology import Host, row
from lab.sim.internet import Internet
from lab.sim.party import Party
from server.chat_service import ChatService
from server.logs import Log

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FILE_LIFE = 11 * MINUTE
RESUME = 24 * HOUR
PORT = 0


class Operator:
    """The server: it hands each client what it comes back with, and may be killed and started again."""

    def __init__(self, net: Internet, random: Random) -> None:
        self.net = net
        self.journal: list[Record] = []
        self.slots: dict[bytes, Slot] = {}
        self.holders: dict[bytes, int] = {}
        self.heard: list[str] = []
        self.files = 0
        self.rekeys = 0
        self._random = random
        self._header_key = random.randbytes(32)
        self._lives = itertools.count()
        self._numbers = itertools.count(1_000_000, 1_000_000)
        self.start()

    def start(self) -> None:
        """Begin, or begin again with no more than what was written down."""
        address = self.net.plan.hosts["server"].addresses[0]
        self.party = Party(self.net, "server", address, self._take, seed=next(self._lives))
        self.address = self.party.open(PORT)
        self.party.endpoint.candidates = (self.address,)
        self._giving: dict[tuple[int, int], bytes] = {}
        self.holders.clear()
        for slot in self.slots.values():
            self.party.endpoint.arm(slot, deadline=self._over(slot))
        hub = Hub(server="home", first_number=next(self._numbers), ledger=Ledger(self.journal, self.journal.append))
        self.chat = ChatService(hub, wake=lambda: None, keep=lambda: None, log=Log())
        self.listener = self.chat.attach("listener", lambda: None)

    def kill(self) -> None:
        """Die without a word."""
        self.hear()
        self.net.close(self.address)

    def invite(self) -> Credential:
        """Make a security file."""
        self.files += 1
        return self._make(FILE_LIFE, lasting=False)

    def hear(self) -> None:
        """Let the listener read what was said."""
        self.heard += [told.text for told in self.chat.take(self.listener, 1000) if isinstance(told, Message)]

    def _make(self, life: float, *, lasting: bool) -> Credential:
        slot = make_slot(
            self._random.randbytes,
            name="home",
            hello_header_key=self._header_key,
            candidates=[self.address],
            relays=[],
            timestamp=int(self.net.now),
            validity=int(life),
        )
        slot.lasting = lasting
        credential = copy.deepcopy(slot.credential)
        self.party.endpoint.arm(slot, deadline=self._over(slot))
        if lasting:
            self.slots[credential.slot_id] = slot
        return credential

    def _over(self, slot: Slot) -> float:
        return float(slot.credential.valid_until)

    def give(self, session_id: int) -> None:
        """Hand a client its next credential."""
        session = self.party.endpoint.sessions.get(session_id)
        if session is not None:
            stream = session.open_stream()
            credential = self._make(RESUME, lasting=True)
            self.holders[credential.slot_id] = session_id
            self._giving[session_id, stream] = credential.slot_id
            session.write(stream, write_handover(credential), fin=True)
            self.party.flush()
            self.net.at(self.net.now + RESUME / 2, lambda: self.give(session_id))

    def _take(self, event: Event) -> None:
        sessions = self.party.endpoint.sessions
        match event:
            case SlotConfirmed(slot_id, session) if slot_id in self.slots:
                self.holders[slot_id] = session
            case SessionOpened(session):
                self.give(session)
            case KeysChanged():
                self.rekeys += 1
            case SessionEnded(session, error):
                self.chat.session_ended(session, error)
            case StreamOpened(session, stream) if session in sessions:
                self.chat.opened(session, sessions[session], stream)
            case StreamReadable(session, stream) if (session, stream) in self._giving:
                sessions[session].read(stream)
                self._settle(session, self._giving[session, stream])
            case StreamReadable(session, stream):
                self.chat.readable(session, stream)
                self.hear()
            case _:
                pass

    def _settle(self, session: int, slot_id: bytes) -> None:
        """Burn what a client held before: it has the next."""
        for other in [one for one, holder in self.holders.items() if holder == session and one != slot_id]:
            self.party.endpoint.disarm(other)
            del self.holders[other], self.slots[other]


class Person:
    """The client: it says something every ten minutes, and comes back by whatever it was handed last."""

    def __init__(self, net: Internet, credential: Credential) -> None:
        self.net = net
        self.kept = credential
        self.said = 0
        self.expired: str | None = None
        self.handshakes = 0
        self.ports: set[int] = set()
        config = EndpointConfig(port_rotation=HOUR)
        self.party = Party(net, "g1-a", net.plan.peers["g1-a"].address, self._take, seed=9, config=config)
        self.party.open(PORT)
        self._chat = ChatClient("ann", token="ann")
        self._id = 0
        self._stream: int | None = None
        self._attempt = 0
        self._asked: float | None = None
        self._handovers: dict[int, tuple[PrefaceReader, HandoverReader]] = {}
        self.awake = True
        self._dial()
        self._tick()
        self._talk()

    @property
    def session(self) -> Session | None:
        return self.party.endpoint.sessions.get(self._id)

    def sleep(self, seconds: float) -> None:
        """Close the lid."""
        self.awake = False
        self.party.sleep(seconds)
        self.net.cut("g1")

        def wake() -> None:
            self.awake = True
            self.net.mend("g1")

        self.net.at(self.net.now + seconds, wake)

    def _talk(self) -> None:
        if self.awake and self.expired is None:
            self._chat.say(str(self.said))
            self.said += 1
            self._send()
        self.net.at(self.net.now + 10 * MINUTE, self._talk)

    def _tick(self) -> None:
        """Ask whether the server is there; knock again when it has owed an answer for too long."""
        self.net.at(self.net.now + 20, self._tick)
        if not self.awake or self.expired is not None:
            return
        if self.session is None or self._asked is not None:
            self._dial()
        if self.session is not None and self._asked is None and self._stream is not None:
            self._asked = self.net.now
            self.ports.add(self.session.path.port)
            self.session.ping()
            self.party.flush()

    def _dial(self) -> None:
        if self._attempt:
            return
        over = check_fresh(self.kept, self.net.now)
        if over is not None:
            self.expired = over.code
            return
        self.handshakes += 1
        kept = copy.deepcopy(self.kept)
        (port,) = self.party.endpoint.scout.request(1)
        self._attempt = self.party.endpoint.connect(kept, port=port, now=self.net.now, timeout=30.0)
        self.party.flush()

    def _send(self) -> None:
        session, data = self.session, self._chat.outgoing()
        if session is not None and self._stream is not None and data:
            session.write(self._stream, data)
            self.party.flush()

    def _take(self, event: Event) -> None:
        match event:
            case SessionOpened(session):
                before, self._id, self._attempt, self._asked = self.session, session, 0, None
                if before is not None:
                    before.close(now=self.net.now, at_once=True)
                assert self.session is not None
                self._stream = self.session.open_stream()
                self._chat.start()
                self._send()
            case SessionEnded(session) if session == self._attempt:
                self._attempt = 0
            case SessionEnded(session) if session == self._id:
                self._stream = self._asked = None
            case PingAnswered(session) if session == self._id:
                self._asked = None
                self.party.endpoint.abandon(self._attempt)
                self._attempt = 0
            case StreamReadable(session, stream) if session == self._id and self.session is not None:
                data = self.session.read(stream)
                if stream == self._stream:
                    self._chat.receive(data)
                    self._send()
                else:
                    self._hand_over(self.session, stream, data)
            case _:
                pass

    def _hand_over(self, session: Session, stream: int, data: bytes) -> None:
        preface, handover = self._handovers.setdefault(stream, (PrefaceReader(), HandoverReader()))
        rest = data
        if not data.startswith(b"{"):
            found = preface.feed(data)
            assert found is not None
            rest = found[1]
        handover.feed(rest)
        if session.at_end(stream):
            self.kept = handover.finish()
            del self._handovers[stream]
            session.write(stream, b"", fin=True)


def test_a_week_needs_one_file_until_the_time_to_come_back_is_over() -> None:
    net = Internet(plan(row(["port-restricted"], hosts=[Host("server")])), seed=1)
    operator = Operator(net, Random(5))
    person = Person(net, operator.invite())
    for day in range(7):
        at = day * DAY
        net.at(at + 3 * HOUR, partial(net.renumber, "g1", f"203.0.113.{100 + day}"))
        net.at(at + 9 * HOUR + 7, lambda: net.forget("g1"))
        net.at(at + 13 * HOUR, lambda: person.sleep(HOUR))
        net.at(at + 22 * HOUR, lambda: person.sleep(8 * HOUR))
    for day in (2, 5):
        net.at(day * DAY + 11 * HOUR + 99, operator.kill)
        net.at(day * DAY + 11 * HOUR + 300, operator.start)
    net.run(7 * DAY + 12 * HOUR)
    operator.hear()
    assert person.expired is None
    assert operator.files == 1
    assert operator.heard == [str(number) for number in range(person.said)]
    assert person.said > 600
    assert operator.rekeys > 80
    assert len(person.ports) > 80 + person.handshakes
    person.sleep(RESUME + HOUR)
    net.run(net.now + RESUME + 2 * HOUR)
    assert person.expired == "CC-FILE-EXPIRED"
