from __future__ import annotations

import pytest

from clawchat.nat.mapping import Dependence, Mapping, Observation, classify
from clawchat.nat.verdict import MEANINGS, Findings, Reach, judge
from clawchat.values.address import Address

INSIDE, PUBLIC = "192.168.1.2", "203.0.113.9"
SERVERS = [Address("198.51.100.1", 3478), Address("198.51.100.2", 3478), Address("198.51.100.1", 3479)]


def mapping(*ports: int, host: str = PUBLIC) -> Mapping | None:
    return classify(
        Observation(50000, server, Address(host, port), 0.0) for server, port in zip(SERVERS, ports, strict=False)
    )


@pytest.mark.parametrize(
    ("findings", "reach"),
    [
        (Findings(()), Reach.OFFLINE),
        (Findings(("127.0.0.1", "::1")), Reach.OFFLINE),
        (Findings((INSIDE,)), Reach.UNKNOWN),
        (Findings((PUBLIC,)), Reach.UNKNOWN),
        (Findings((INSIDE,), asked=2), Reach.BLOCKED),
        (Findings((INSIDE,), external=PUBLIC), Reach.MAPPED),
        (Findings((INSIDE,), asked=2, external=PUBLIC), Reach.MAPPED),
        (Findings((INSIDE,), external="100.64.0.9"), Reach.UNKNOWN),
        (Findings((PUBLIC,), 1, mapping(50000), Dependence.ENDPOINT_INDEPENDENT), Reach.OPEN),
        (Findings((PUBLIC,), 1, mapping(50000), Dependence.ADDRESS_DEPENDENT), Reach.FIREWALLED),
        (Findings((PUBLIC,), 1, mapping(50000)), Reach.FIREWALLED),
        (Findings((INSIDE,), 2, mapping(50000, 50000)), Reach.EASY),
        (Findings((INSIDE,), 2, mapping(40000, 40000)), Reach.EASY),
        (Findings((INSIDE,), 2, mapping(40000, 40000), external=PUBLIC), Reach.MAPPED),
        (Findings((INSIDE,), 2, mapping(40000, 40000), external="10.0.0.1"), Reach.EASY),
        (Findings((INSIDE,), 2, mapping(40000, 40001, 40002)), Reach.PREDICTABLE),
        (Findings((INSIDE,), 2, mapping(40000, 60000, 20000)), Reach.HARD),
        (Findings((INSIDE,), 1, mapping(40000)), Reach.UNKNOWN),
    ],
)
def test_what_it_comes_to(findings: Findings, reach: Reach) -> None:
    assert judge(findings) is reach


def test_every_verdict_has_a_meaning() -> None:
    assert set(MEANINGS) == set(Reach)
