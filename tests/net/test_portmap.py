"""The runner against routers on loopback: which way it takes, what it keeps, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from clawchat.nat.portmap.lease import Gateway, Lease, Protocol
from clawchat.net import portmap
from clawchat.net.gateway import NoGateway
from clawchat.net.loop import run
from clawchat.net.portmap import PortMapping
from clawchat.values.address import Address
from tests.net.gateways import GATEWAY, HERE, PUBLIC, FakeRouter

INTERNAL = Address(HERE, 50_000)
EXTERNAL = Address(PUBLIC, 50_000)


async def loopback_gateway(_host: str) -> Gateway | NoGateway:
    return GATEWAY


@contextlib.asynccontextmanager
async def mapping_at(router: FakeRouter, told: list[Lease | None] | None = None) -> AsyncIterator[PortMapping]:
    """Lend a mapping that talks to a router, and give it back afterwards."""
    heard = [] if told is None else told
    async with router.running() as ports:
        mapping = PortMapping(INTERNAL, on_change=heard.append, find=loopback_gateway, ports=ports, watch=False)
        try:
            yield mapping
        finally:
            await mapping.close()


async def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it never came true"
        await asyncio.sleep(0.005)


def scene(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    run(body())


@pytest.mark.parametrize(
    ("speaks", "protocol"),
    [
        ({"pcp", "natpmp", "upnp"}, Protocol.PCP),
        ({"natpmp", "upnp"}, Protocol.NAT_PMP),
        ({"natpmp"}, Protocol.NAT_PMP),
        ({"pcp"}, Protocol.PCP),
        ({"upnp"}, Protocol.UPNP),
    ],
)
def test_the_best_way_the_router_knows_is_taken(speaks: set[str], protocol: Protocol) -> None:
    async def body() -> None:
        router = FakeRouter(speaks)
        told: list[Lease | None] = []
        async with mapping_at(router, told) as mapping:
            lease = await mapping.open()
            assert lease is not None
            assert (lease.protocol, lease.external, lease.internal) == (protocol, EXTERNAL, INTERNAL)
            assert told == [lease]
            assert (50_000 in router.igd.mappings) is (protocol is Protocol.UPNP)
        assert router.mappings == {}
        assert router.igd.mappings == {}  # nothing is left behind

    scene(body)


def test_only_one_way_maps() -> None:
    async def body() -> None:
        router = FakeRouter()
        async with mapping_at(router) as mapping:
            await mapping.open()
            maps = [each for each in router.requests if each[1] == 1]
            assert (len(maps), router.igd.mappings) == (1, {})

    scene(body)


def test_a_router_that_refuses_one_way_may_allow_another() -> None:
    async def body() -> None:
        router = FakeRouter({"pcp", "upnp"}, result=2)
        async with mapping_at(router) as mapping:
            lease = await mapping.open()
            assert lease is not None
            assert lease.protocol is Protocol.UPNP
            assert "PCP: NOT_AUTHORIZED" in mapping.refusals

    scene(body)


def test_a_silent_router_is_given_up_and_every_reason_told() -> None:
    async def body() -> None:
        told: list[Lease | None] = []
        async with mapping_at(FakeRouter(set()), told) as mapping:
            assert await mapping.open() is None
            assert sorted(mapping.refusals) == ["NAT-PMP: no answer", "PCP: no answer", "UPnP: no answer"]
            assert told == [None]
            assert await mapping.open() is None
            assert told == [None]  # no news

    scene(body)


def test_an_attempt_has_an_end_even_if_the_router_dawdles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portmap, "GIVE_UP", 0.1)

    async def body() -> None:
        async with mapping_at(FakeRouter({"pcp"}, lose=1)) as mapping:
            assert await mapping.open() is None
            assert "PCP: no answer in time" in mapping.refusals

    scene(body)


def test_lost_datagrams_are_repeated() -> None:
    async def body() -> None:
        async with mapping_at(FakeRouter({"natpmp"}, lose=2)) as mapping:
            assert await mapping.open() is not None

    scene(body)


def test_where_nothing_listens_the_answer_comes_at_once() -> None:
    async def body() -> None:
        router = FakeRouter()
        async with router.running() as ports:
            pass
        mapping = PortMapping(INTERNAL, find=loopback_gateway, ports=ports, watch=False)
        assert await mapping.open() is None
        assert {"PCP: nothing listens there", "NAT-PMP: nothing listens there"} <= set(mapping.refusals)
        await mapping.close()

    scene(body)


def test_without_a_router_there_is_a_reason() -> None:
    async def nowhere(_host: str) -> Gateway | NoGateway:
        return NoGateway("no default gateway is known")

    async def body() -> None:
        mapping = PortMapping(INTERNAL, find=nowhere, watch=False)
        assert await mapping.open() is None
        assert mapping.refusals == ("no default gateway is known",)
        await mapping.close()

    scene(body)


@pytest.mark.parametrize(
    "location",
    ["http://203.0.113.99:5000/d.xml", "http://198.51.100.1/d.xml", "http://router/d.xml", "https://127.0.0.1/d.xml"],
)
def test_a_description_elsewhere_is_never_fetched(location: str) -> None:
    async def body() -> None:
        async with mapping_at(FakeRouter({"upnp"}, location=location)) as mapping:
            assert await mapping.open() is None
            assert "UPnP: no answer" in mapping.refusals

    scene(body)


class TestKeeping:
    def test_a_lease_is_renewed_before_it_ends(self) -> None:
        async def body() -> None:
            router = FakeRouter({"pcp"}, lifetime=1)
            told: list[Lease | None] = []
            async with mapping_at(router, told) as mapping:
                mapping.keep()
                # On a busy machine a lease of a second may end before it is renewed; it is asked for anew then.
                await until(lambda: mapping.lease and len([each for each in router.requests if each[1] == 1]) >= 3)
            assert router.mappings == {}

        scene(body)

    @pytest.mark.parametrize("speaks", ["pcp", "natpmp"])
    def test_a_router_that_restarts_is_asked_again(self, speaks: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portmap, "CHECK", 0.05)

        async def body() -> None:
            router = FakeRouter({speaks})
            async with mapping_at(router) as mapping:
                mapping.keep()
                await until(lambda: router.mappings)
                router.mappings.clear()
                router.epoch = 0
                await until(lambda: router.mappings)

        scene(body)

    def test_a_router_that_moves_is_news(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portmap, "CHECK", 0.05)

        async def body() -> None:
            router = FakeRouter({"natpmp"})
            told: list[Lease | None] = []
            async with mapping_at(router, told) as mapping:
                mapping.keep()
                await until(lambda: told)
                router.public = "203.0.113.77"
                await until(lambda: len(told) == 2)
                assert [each.external.host for each in told if each is not None] == [PUBLIC, "203.0.113.77"]

        scene(body)

    def test_a_upnp_router_that_forgets_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portmap, "CHECK_UPNP", 0.05)

        async def body() -> None:
            router = FakeRouter({"upnp"})
            async with mapping_at(router) as mapping:
                mapping.keep()
                await until(lambda: router.igd.mappings)
                router.igd.mappings.clear()
                await until(lambda: router.igd.mappings)

        scene(body)

    def test_a_router_that_changes_its_mind_is_news_and_asked_later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portmap, "RETRY", 0.05)

        async def body() -> None:
            router = FakeRouter({"pcp"}, lifetime=1, result=0)
            told: list[Lease | None] = []
            async with mapping_at(router, told) as mapping:
                mapping.keep()
                await until(lambda: told)
                router.result = 2
                await until(lambda: told[-1] is None)
                router.result = 0
                await until(lambda: told[-1] is not None)

        scene(body)

    def test_it_follows_to_the_router_of_another_network(self) -> None:
        async def body() -> None:
            old, new = FakeRouter({"pcp"}), FakeRouter({"pcp"}, public="203.0.113.77")
            told: list[Lease | None] = []
            found = [GATEWAY]

            async def find(_host: str) -> Gateway | NoGateway:
                return found[-1]

            async with old.running() as ports, new.running() as elsewhere:
                mapping = PortMapping(INTERNAL, on_change=told.append, find=find, ports=ports, watch=False)
                mapping.keep()
                await until(lambda: told)
                found.append(GATEWAY._replace(network=GATEWAY.network.supernet()))
                mapping._ports = elsewhere  # noqa: SLF001 - two routers can't share a loopback port
                mapping.network_changed()
                await until(lambda: told[-1] is not None and told[-1].external.host == "203.0.113.77")
                await mapping.close()

        scene(body)

    def test_closing_does_not_wait_for_a_router_that_has_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(portmap, "CLOSE_LIMIT", 0.05)

        async def body() -> None:
            router = FakeRouter({"pcp"})
            async with mapping_at(router) as mapping:
                await mapping.open()
                router.lose = 100

        scene(body)
