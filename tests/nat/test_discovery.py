"""The whole discovery against a NAT and a server in memory: what is concluded is what the NAT does."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from clawchat.nat.discovery import Discovery, Port, Step, is_other
from clawchat.nat.mapping import Allocation, Dependence, classify
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram
from tests.support.little_nat import LittleNat, LittleStun, error

LOCAL = (50_000, 50_001)
ANY = Dependence.ENDPOINT_INDEPENDENT
ADDRESS = Dependence.ADDRESS_DEPENDENT
PORT = Dependence.ADDRESS_AND_PORT_DEPENDENT
Lose = Callable[[Step], bool]


def run(
    nat: LittleNat, servers: Sequence[LittleStun], *, lose: Lose = lambda _: False, asked: Sequence[Address] = ()
) -> Discovery:
    """Let a discovery run to its end; datagrams take no time."""
    told = Discovery([each.main for each in servers] + list(asked), LOCAL, random=random.Random(3).randbytes, now=0.0)
    now = 0.0
    while True:
        steps = told.transmits(now=now)
        for step in steps:
            remote = step.outgoing.remote
            seen = nat.outbound(LOCAL[step.port], remote)
            for server in servers:
                if server.has(remote) and not lose(step):
                    data, source = server.answer(step.outgoing.data, remote, seen)
                    if nat.lets_in(seen.port, source):
                        told.receive(step.port, data, source, now=now)
        if told.done:
            return told
        if not steps:
            now = told.next_timeout()
        assert now <= 3.0


@pytest.mark.parametrize("filtering", [ANY, ADDRESS, PORT], ids=lambda each: each.value)
@pytest.mark.parametrize(
    ("allocation", "mapping", "found"),
    [
        ("preserve", ANY, Allocation.PRESERVING),
        ("preserve", PORT, Allocation.PRESERVING),
        ("remap", ANY, Allocation.ENDPOINT_INDEPENDENT),
        (1, PORT, Allocation.SEQUENTIAL),
        (2, PORT, Allocation.SEQUENTIAL),
        (-1, PORT, Allocation.SEQUENTIAL),
        ("random", PORT, Allocation.RANDOM),
        ("random", ADDRESS, Allocation.RANDOM),
    ],
)
def test_every_nat_is_told_for_what_it_is(
    allocation: str | int, mapping: Dependence, found: Allocation, filtering: Dependence
) -> None:
    told = run(LittleNat(allocation, mapping, filtering), [LittleStun()])
    judged = classify(told.observations)
    assert judged is not None
    assert judged.allocation is found
    assert judged.dependence is (ANY if allocation == "preserve" else mapping)
    assert told.filtering is filtering
    assert judged.step == (allocation if found is Allocation.SEQUENTIAL else 0)


def test_two_plain_servers_tell_the_mapping_and_not_the_filter() -> None:
    servers = [LittleStun(other=False), LittleStun(("198.51.100.3", "198.51.100.4"), other=False)]
    told = run(LittleNat("random", PORT), servers)
    judged = classify(told.observations)
    assert judged is not None
    assert (judged.allocation, told.filtering) == (Allocation.RANDOM, Dependence.UNKNOWN)


def test_a_lost_request_is_repeated() -> None:
    lost: set[tuple[int, bytes]] = set()

    def once(step: Step) -> bool:
        key = (step.port, step.outgoing.data)
        fresh = key not in lost
        lost.add(key)
        return fresh

    told = run(LittleNat("remap", ANY, ADDRESS), [LittleStun()], lose=once)
    assert told.filtering is ADDRESS
    assert len(told.observations) == 5


def test_a_silent_network_is_told_after_three_seconds() -> None:
    told = run(LittleNat(), [LittleStun()], lose=lambda _: True)
    assert told.observations == []
    assert told.filtering is Dependence.UNKNOWN
    assert [each.reply for each in told.results] == [None]


def test_a_server_is_asked_once_however_often_it_is_named() -> None:
    server = LittleStun()
    told = run(LittleNat(), [server], asked=[server.main, Address("198.51.100.2", 3479)])
    assert len(told.results) == 4


def test_a_server_that_refuses_the_tests_tells_nothing_of_the_filter() -> None:
    told = Discovery([LittleStun().main], LOCAL, random=random.Random(3).randbytes, now=0.0)
    server, nat = LittleStun(), LittleNat()
    while not told.done:
        for step in told.transmits(now=0.0):
            request, remote = step.outgoing
            data, source = server.answer(request, remote, nat.outbound(LOCAL[step.port], remote))
            if len(request) > 20:
                data, source = error(request[8:20], 420), remote
            told.receive(step.port, data, source, now=0.0)
    assert told.filtering is Dependence.UNKNOWN


@pytest.mark.parametrize(
    ("other", "server", "asked"),
    [
        ("198.51.100.2:3479", "198.51.100.1:3478", True),
        ("198.51.100.1:3479", "198.51.100.1:3478", False),
        ("198.51.100.2:3478", "198.51.100.1:3478", False),
        ("192.168.1.1:80", "198.51.100.1:3478", False),
        ("127.0.0.1:80", "198.51.100.1:3478", False),
        ("127.0.0.2:80", "127.0.0.1:3478", True),
        ("10.0.0.2:3479", "10.0.0.1:3478", True),
        ("[2001:db8::1]:3479", "198.51.100.1:3478", False),
    ],
)
def test_nobody_sends_us_into_our_own_network(other: str, server: str, *, asked: bool) -> None:
    assert is_other(Address.parse(other), Address.parse(server)) is asked


def test_what_comes_to_the_wrong_port_is_refused() -> None:
    told = Discovery([LittleStun().main], LOCAL, random=random.Random(3).randbytes, now=0.0)
    (step,) = told.transmits(now=0.0)
    data, source = LittleStun().answer(step.outgoing.data, step.outgoing.remote, Address("203.0.113.9", 1))
    with pytest.raises(BadDatagram):
        told.receive(Port.FILTERING, data, source, now=0.0)
