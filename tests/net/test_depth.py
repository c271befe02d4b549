"""How deep our own NATs are, felt on the way to a relay by packets that die there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from clawchat.nat.depth import DEEPEST
from clawchat.net import depth
from clawchat.net.depth import feel_depth
from clawchat.net.driver import Node
from clawchat.net.error_queue import TTL_EXPIRED, PathError
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address, Path

RELAY = Path(0, Address("198.51.100.1", 4000))
ELSEWHERE = Path(0, Address("198.51.100.2", 4000))


class Routers:
    """A node and its endpoint, and routers that say where a packet died, or nothing."""

    def __init__(self, *offenders: str, path: Path = RELAY, error_queue: bool = True) -> None:
        self.offenders = offenders
        self.felt_hops: list[int | None] = []
        self.ttls: list[int] = []
        self.icmp_listeners: set[Callable[[PathError], None]] = set()
        self.sessions = {7: SimpleNamespace(path=path)}
        self.ports = {0: SimpleNamespace(abilities=SimpleNamespace(error_queue=error_queue))}

    def wake(self) -> None:
        ttl = self.ttls[-1] if self.ttls else 0
        offender = self.offenders[ttl - 1] if 0 < ttl <= len(self.offenders) else ""
        for listener in tuple(self.icmp_listeners):
            listener(PathError(ELSEWHERE, TTL_EXPIRED, "203.0.113.9"))
            listener(PathError(RELAY, "ECONNREFUSED", "198.51.100.1"))
            if offender:
                listener(PathError(RELAY, TTL_EXPIRED, offender))

    def feel(self, session: int, path: Path, ttl: int, *, until: float) -> None:
        assert (session, path) == (7, RELAY)
        assert until > 0
        self.ttls.append(ttl)

    def felt(self, hops: int | None) -> None:
        self.felt_hops.append(hops)


def felt(routers: Routers) -> list[int | None]:
    asyncio.run(feel_depth(cast("Node", routers), cast("Endpoint", routers), 7, port=0))
    assert not routers.icmp_listeners
    return routers.felt_hops


@pytest.mark.parametrize(
    ("offenders", "hops"),
    [(("203.0.113.1",), 1), (("10.0.0.1", "203.0.113.254"), 2), (("10.0.0.1", "100.64.0.1", "203.0.113.254"), 3)],
)
def test_the_first_public_router_is_the_depth(offenders: tuple[str, ...], hops: int) -> None:
    routers = Routers(*offenders)
    assert felt(routers) == [hops]
    assert routers.ttls == list(range(1, hops + 1))


def test_a_router_that_says_nothing_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "FEEL_SECONDS", 0.001)
    routers = Routers("10.0.0.1", "", "203.0.113.254")
    assert felt(routers) == [3]
    assert routers.ttls == [1, 2, 2, 3]


def test_where_no_router_speaks_the_depth_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depth, "FEEL_SECONDS", 0.001)
    routers = Routers()
    assert felt(routers) == [None]
    assert max(routers.ttls) == DEEPEST


@pytest.mark.parametrize(
    "routers",
    [
        Routers("203.0.113.1", error_queue=False),
        Routers("203.0.113.1", path=Path(5, RELAY.remote)),
        Routers("203.0.113.1", path=Path(0, Address("10.0.0.5", 4000))),
        Routers("203.0.113.1", path=Path(0, Address("2001:db8::1", 4000))),
    ],
    ids=["no error queue", "another port", "next door", "IPv6"],
)
def test_where_nothing_can_be_learnt_nothing_is_sent(routers: Routers) -> None:
    assert felt(routers) == []
    assert routers.ttls == []
