"""Where a server says it may be reached, with a router and STUN servers that are made up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from clawchat.nat.mapping import Observation, classify
from clawchat.nat.portmap.lease import Lease, Protocol
from clawchat.net.driver import Node
from clawchat.net.loop import run
from clawchat.net.reflexive import Seen
from clawchat.values.address import Address
from server import reach as module
from server.logs import Log
from server.reach import Reach
from server.settings import Networking
from tests.net.fakes import FakeCore

OWN, MAPPED, OUTSIDE = (Address(f"203.0.113.{n}", 50_000) for n in (7, 8, 9))
LEASE = Lease(Protocol.UPNP, MAPPED, Address("192.168.1.2", 50_000), 0.0, 1200.0)
SEEN = Seen((OUTSIDE,), classify([Observation(50_000, Address("198.51.100.1", 3478), OUTSIDE, 0.0)]))


class FakeMapping:
    """A port mapping that is told what it got."""

    made: list[FakeMapping]

    def __init__(self, internal: Address, *, on_change: Callable[[Lease | None], None]) -> None:
        self.internal = internal
        self.lease: Lease | None = None
        self.refusals: tuple[str, ...] = ()
        self.kept = self.closed = False
        self._on_change = on_change
        self.made.append(self)

    def keep(self) -> None:
        self.kept = True

    def become(self, lease: Lease | None, *refusals: str) -> None:
        self.lease, self.refusals = lease, refusals
        self._on_change(lease)

    async def close(self) -> None:
        self.closed = True


class FakeReflexive:
    """STUN servers that say what they are told to."""

    made: list[FakeReflexive]

    def __init__(
        self, _node: Node, _handle: int, servers: Sequence[str], *, on_change: Callable[[Seen], None], detect: bool
    ) -> None:
        self.servers, self.detect, self.seen, self.closed = servers, detect, Seen(), False
        self._on_change = on_change
        self.made.append(self)

    def become(self, seen: Seen) -> None:
        self.seen = seen
        self._on_change(seen)

    async def close(self) -> None:
        self.closed = True


class FakeLog(Log):
    """Remember what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **fields: object) -> None:
        self.lines.append((event, fields))


class Stage:
    """A reach on a port, and what it told."""

    def __init__(self, networking: Networking, host: str) -> None:
        self.changes = 0
        self.log = FakeLog()
        self._host = host
        self._node = Node(FakeCore(), on_event=lambda _: None, watch=False)
        self.reach = Reach(networking, self._node, self.log, on_change=self._changed)

    async def open(self) -> Stage:
        self.reach.start(await self._node.open_port(Address(self._host, 0)))
        return self

    async def close(self) -> None:
        await self.reach.close()
        await self._node.close(limit=0.1)

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeMapping.made, FakeReflexive.made = [], []
    monkeypatch.setattr(module, "PortMapping", FakeMapping)
    monkeypatch.setattr(module, "Reflexive", FakeReflexive)
    monkeypatch.setattr(module, "host_candidates", lambda _port: [OWN])


def on(networking: Networking, act: Callable[[Stage], None], host: str = "0.0.0.0") -> Stage:
    """Play a scene on a stage, and return it when it is over."""

    async def play() -> Stage:
        stage = await Stage(networking, host).open()
        act(stage)
        await asyncio.sleep(0)
        await stage.close()
        return stage

    return run(play())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_for_this_machine_alone_asks_nobody(host: str) -> None:
    stage = on(Networking(stun_servers=("stun.example.org",)), lambda _: None, host)
    assert FakeMapping.made == []
    assert FakeReflexive.made == []
    assert stage.reach.describe() == {"port_mapping": "off", "nat": "off"}


def test_what_the_settings_turn_off_is_not_asked() -> None:
    on(Networking(port_mapping=False), lambda _: None)
    assert FakeMapping.made == []
    assert FakeReflexive.made == []


def test_a_mapped_port_is_offered_and_logged() -> None:
    def act(stage: Stage) -> None:
        assert stage.reach.candidates() == [OWN]
        (mapping,) = FakeMapping.made
        assert mapping.kept
        mapping.become(LEASE)
        assert stage.reach.candidates() == [OWN, MAPPED]
        assert stage.reach.describe()["port_mapping"] == "203.0.113.8:50000 (UPnP)"

    stage = on(Networking(), act)
    assert stage.changes == 1
    ((event, fields),) = stage.log.lines
    assert event == "port-mapped"
    assert fields == {"external": str(MAPPED), "protocol": "UPnP", "public": True, "seconds": 1200}
    assert FakeMapping.made[0].closed


def test_a_router_that_will_not_is_one_line_of_the_log() -> None:
    def act(stage: Stage) -> None:
        FakeMapping.made[0].become(None, "PCP: no answer")
        assert stage.reach.describe()["port_mapping"] == "none: PCP: no answer"

    stage = on(Networking(), act)
    assert (stage.changes, stage.log.lines) == (0, [("port-not-mapped", {"why": ("PCP: no answer",)})])


def test_a_mapping_that_is_lost_is_no_longer_offered() -> None:
    def act(stage: Stage) -> None:
        FakeMapping.made[0].become(LEASE)
        FakeMapping.made[0].become(None)
        assert stage.reach.candidates() == [OWN]

    assert on(Networking(), act).changes == 2


def test_where_stun_servers_see_us_is_offered() -> None:
    def act(stage: Stage) -> None:
        (reflexive,) = FakeReflexive.made
        assert (reflexive.servers, reflexive.detect) == (("one", "two"), False)
        assert stage.reach.describe()["nat"] == "no STUN server has answered"
        reflexive.become(SEEN)
        FakeMapping.made[0].become(LEASE)
        assert stage.reach.candidates() == [OWN, MAPPED, OUTSIDE]
        assert stage.reach.describe()["nat"] == "ports are preserving"

    stage = on(Networking(stun_servers=("one", "two"), nat_detection=False), act)
    assert stage.changes == 2
    assert FakeReflexive.made[0].closed


def test_a_public_address_stands_for_our_own() -> None:
    def act(stage: Stage) -> None:
        FakeMapping.made[0].become(LEASE)
        assert stage.reach.candidates() == [Address("198.51.100.77", 9), MAPPED]

    on(Networking(public_address="198.51.100.77:9"), act)


def test_no_more_is_offered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    many: list[Any] = [Address(f"10.0.0.{n}", 5) for n in range(1, 30)]
    monkeypatch.setattr(module, "host_candidates", lambda _port: many)

    def act(stage: Stage) -> None:
        FakeMapping.made[0].become(LEASE)
        assert len(stage.reach.candidates()) == 16
        assert MAPPED in stage.reach.candidates()

    on(Networking(), act)
