"""Any sequence of operations on any network: what arrives is what was said, once, in order, or its end is told."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from dataclasses import replace as changed

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from clawchat.values.address import Address
from clawchat.values.errors import UsageError
from clawchat.values.events import (
    DatagramReceived,
    PingAnswered,
    SessionEnded,
    StreamDelivered,
    StreamOpened,
    StreamReset,
    StreamStopped,
)
from clawchat.values.limits import BASE_DATAGRAM, DEAD_PEER
from tests.session.test_transfer import content
from tests.support.hostile import STRANGER
from tests.support.link import ETHERNET
from tests.support.pair import CLIENT, End, Pair

ENDS = st.sampled_from(["client", "server"])
CHOICE = st.integers(0, 10_000)
_ONCE = (StreamOpened, StreamReset, StreamStopped)
CLEAR = {"delay": 0.02, "jitter": 0.0, "loss": 0.0, "duplicate": 0.0, "mtu": ETHERNET}


@dataclass
class Said:
    """What one end said on one stream."""

    data: bytearray = field(default_factory=bytearray)
    finished: bool = False
    reset: bool = False
    stopped: bool = False

    @property
    def must_arrive(self) -> bool:
        return not self.reset and not self.stopped


class Conversation(RuleBasedStateMachine):
    """Two ends do what programs do, on a network that does what networks do."""

    @initialize(seed=st.integers(0, 1 << 20))
    def begin(self, seed: int) -> None:
        self.pair = Pair(seed=seed)
        for end in self.pair.ends:
            end.endpoint.port_opened(0, end.ports[0], now=self.pair.now)
        self.pair.handshake()
        self.said: dict[tuple[str, int], Said] = {}
        self.streams: list[int] = []
        self.messages: dict[str, list[bytes]] = {"client": [], "server": []}
        self.pings: dict[str, int] = {"client": 0, "server": 0}
        self.closed = False

    def end(self, name: str) -> End:
        return self.pair.client if name == "client" else self.pair.server

    def other(self, name: str) -> End:
        return self.pair.server if name == "client" else self.pair.client

    def usable(self) -> bool:
        return not self.closed

    def has_streams(self) -> bool:
        return bool(self.streams) and not self.closed

    # --- what programs do --------------------------------------------------------------------------

    @precondition(usable)
    @rule(name=ENDS, size=st.integers(0, 30_000))
    def open(self, name: str, size: int) -> None:
        if len(self.streams) < 60:
            stream = self.end(name).session.open_stream()
            self.streams.append(stream)
            self.said[name, stream] = Said()
            self.said["server" if name == "client" else "client", stream] = Said()
            self.write(name, len(self.streams) - 1, max(size, 1), fin=False)

    @precondition(has_streams)
    @rule(name=ENDS, choice=CHOICE, size=st.one_of(st.integers(0, 300), st.integers(0, 100_000)), fin=st.booleans())
    def write(self, name: str, choice: int, size: int, *, fin: bool) -> None:
        stream = self.streams[choice % len(self.streams)]
        said = self.said[name, stream]
        if said.finished or said.reset or not self.knows(name, stream):
            return
        word = content((name, stream, len(said.data)), size)
        try:
            self.end(name).session.write(stream, word, fin=fin)
        except UsageError:
            assert said.stopped
        else:
            said.data += word
            said.finished = fin

    def knows(self, name: str, stream: int) -> bool:
        """Tell whether an end has opened a stream or heard of it."""
        own = (stream % 2 == 0) == (name == "client")
        return own or stream in [event.stream for event in self.end(name).told(StreamOpened)]

    @precondition(has_streams)
    @rule(name=ENDS, choice=CHOICE)
    def reset(self, name: str, choice: int) -> None:
        stream = self.streams[choice % len(self.streams)]
        if self.knows(name, stream):
            self.end(name).session.reset(stream)
            self.said[name, stream].reset = True

    @precondition(has_streams)
    @rule(name=ENDS, choice=CHOICE)
    def stop(self, name: str, choice: int) -> None:
        stream = self.streams[choice % len(self.streams)]
        if self.knows(name, stream):
            self.end(name).session.stop(stream)
            self.said[self.other(name).name, stream].stopped = True

    @precondition(usable)
    @rule(name=ENDS, size=st.integers(8, 1100))
    def message(self, name: str, size: int) -> None:
        data = content((name, "message", len(self.messages[name])), size)
        self.end(name).session.send_datagram(data)
        self.messages[name].append(data)

    @precondition(usable)
    @rule(name=ENDS)
    def ping(self, name: str) -> None:
        self.end(name).session.ping(self.pings[name])
        self.pings[name] += 1

    @precondition(usable)
    @rule(name=ENDS)
    def read_or_not(self, name: str) -> None:
        end = self.end(name)
        end.reading = not end.reading
        if end.reading:
            self.read(end)

    def read(self, end: End) -> None:
        for stream in self.streams:
            if self.knows(end.name, stream):
                end.read_all(stream)

    @precondition(usable)
    @rule(name=ENDS, at_once=st.booleans())
    def close(self, name: str, *, at_once: bool) -> None:
        if self.pair.now > 1030:  # else most conversations would be short
            self.end(name).session.close(300, "enough", now=self.pair.now, at_once=at_once)
            self.closed = True

    @precondition(usable)
    @rule(name=ENDS)
    def rekey(self, name: str) -> None:
        self.end(name).session.rekey()

    @rule(name=ENDS)
    def hop(self, name: str) -> None:
        self.end(name).endpoint.hop()

    # --- what networks do --------------------------------------------------------------------------

    @rule(
        name=ENDS,
        delay=st.floats(0.001, 0.3),
        jitter=st.sampled_from([0.0, 0.001, 0.02, 0.2]),
        loss=st.sampled_from([0.0, 0.01, 0.1, 0.3]),
        duplicate=st.sampled_from([0.0, 0.1]),
        mtu=st.sampled_from([BASE_DATAGRAM, 1300, ETHERNET]),
        grain=st.sampled_from([0.0, 0.001, 0.02]),
        coalesce=st.booleans(),
    )
    def weather(self, name: str, **conditions: float) -> None:
        end = self.end(name)
        end.link = changed(end.link, **conditions)  # type: ignore[arg-type]  # each of its own type

    @rule(seconds=st.floats(0.0, 20.0))
    def outage(self, seconds: float) -> None:
        self.pair.outage()
        self.pair.drive(seconds)
        self.pair.outage(up=True)
        self.pair.drive(1)

    @rule(port=st.integers(1000, 60_000))
    def roam(self, port: int) -> None:
        client = self.pair.client
        client.ports[client.session.path.port if client.alive() else 0] = Address(CLIENT.host, port)

    @rule(name=ENDS)
    def network_changed(self, name: str) -> None:
        self.end(name).endpoint.network_changed(now=self.pair.now)

    @rule(name=ENDS, choice=CHOICE, count=st.integers(1, 5))
    def replay(self, name: str, choice: int, count: int) -> None:
        start = choice % len(self.pair.datagrams)
        for sent in self.pair.datagrams[start : start + count]:
            if sent.arrivals:
                self.pair.inject(self.end(name), sent.data, STRANGER)

    @rule(name=ENDS, size=st.integers(0, 3000), piece=st.integers(1, 1500))
    def junk(self, name: str, size: int, piece: int) -> None:
        self.pair.inject(self.end(name), random.Random(size).randbytes(size), STRANGER, size=piece)

    @rule(seconds=st.one_of(st.floats(0.0, 0.2), st.floats(0.0, 20.0)))
    def time_passes(self, seconds: float) -> None:
        self.pair.drive(seconds)

    # --- what must be so ---------------------------------------------------------------------------

    @invariant()
    def nothing_is_heard_that_was_not_said(self) -> None:
        for (name, stream), said in self.said.items():
            heard = self.other(name).heard(stream)
            assert said.data.startswith(heard)
            if self.other(name).ended(stream) and said.must_arrive:
                assert heard == said.data

    @invariant()
    def nothing_is_told_twice(self) -> None:
        for name, messages in self.messages.items():
            heard = Counter(event.data for event in self.other(name).told(DatagramReceived))
            assert not heard - Counter(messages)
            answers = Counter(event.token for event in self.end(name).told(PingAnswered))
            delivered = Counter(event.stream for event in self.end(name).told(StreamDelivered))
            assert set((answers | delivered).values()) <= {1}
            told = [event for event in self.end(name).events if isinstance(event, _ONCE)]
            assert max(Counter((type(event), event.stream) for event in told).values(), default=1) == 1
            assert len(self.end(name).told(SessionEnded)) <= self.closed

    def teardown(self) -> None:
        if not hasattr(self, "pair"):
            return
        for end in self.pair.ends:
            end.link = changed(end.link, **CLEAR)  # type: ignore[arg-type]  # names of its fields
            end.reading = True
            self.read(end)
        if self.closed:
            self.pair.drive(DEAD_PEER + 20)
            assert [len(end.told(SessionEnded)) for end in self.pair.ends] == [1, 1]
            assert not any(end.endpoint.sessions for end in self.pair.ends)
        else:
            self.pair.drive(until=self.all_is_said, limit=300)
        self.nothing_is_heard_that_was_not_said()
        self.nothing_is_told_twice()

    def all_is_said(self) -> bool:
        """Tell whether everything arrived that had to."""
        for (name, stream), said in self.said.items():
            if said.must_arrive:
                if self.other(name).heard(stream) != said.data:
                    return False
                if said.finished and stream not in [e.stream for e in self.end(name).told(StreamDelivered)]:
                    return False
        return all(len(self.end(name).told(PingAnswered)) == count for name, count in self.pings.items())


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=50)
