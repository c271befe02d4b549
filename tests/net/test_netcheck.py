from __future__ import annotations

import pytest

from clawchat.nat.mapping import Allocation
from clawchat.net import netcheck
from clawchat.net.loop import run
from clawchat.net.netcheck import Look, look
from clawchat.net.portmap import PortMapping
from tests.net.gateways import FakeStun, answering


@pytest.fixture(autouse=True)
def _no_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """See to it that no router of a real network is asked."""

    def refuse(*_: object, **__: object) -> PortMapping:
        raise AssertionError("a router would have been asked")

    monkeypatch.setattr(netcheck, "PortMapping", refuse)


def test_nobody_is_asked_who_was_not_named() -> None:
    found = run(look((), port_mapping=False))
    assert found.ipv4 == found.ipv6 == netcheck.Seen()
    assert (found.unresolved, found.gateway, found.lease, found.depth) == ((), None, None, None)
    assert found.hosts


def test_a_machine_without_network_asks_no_router(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netcheck, "host_addresses", lambda: ["127.0.0.1"])
    assert run(look((), port_mapping=True)).refusals == ()


def test_servers_that_were_named_are_asked() -> None:
    async def body() -> Look:
        near, silent = FakeStun(), FakeStun(silent=True)
        async with answering(near.answer) as one, answering(silent.answer) as other:
            return await look((str(one), str(other), "[::1]:7"), port_mapping=False)

    found = run(body())
    assert (len(found.ipv4.answered), len(found.ipv4.silent)) == (1, 1)
    assert found.ipv4.mapping is not None
    assert found.ipv4.mapping.allocation is Allocation.PRESERVING
    assert found.ipv4.rtt is not None
