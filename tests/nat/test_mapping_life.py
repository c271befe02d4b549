"""How long a NAT keeps a mapping is believed when two lives in a row agree."""

from __future__ import annotations

import pytest

from clawchat.nat.mapping_life import MappingLife
from clawchat.values.address import Address


def seen(*ports_at: tuple[float, int], handle: int = 0, host: str = "203.0.113.1") -> MappingLife:
    life = MappingLife()
    for at, port in ports_at:
        life.on_seen(handle, Address(host, port), now=at)
    return life


@pytest.mark.parametrize(
    ("sights", "period"),
    [
        ([], None),
        ([(0, 1)], None),
        ([(0, 1), (60, 2)], None),
        ([(0, 1), (60, 2), (120, 3)], 60.0),
        ([(0, 1), (10, 1), (60, 2), (61, 2), (115, 3)], 55.0),
        ([(0, 1), (60, 2), (400, 3)], None),
        ([(0, 1), (400, 2), (460, 3), (520, 4)], 60.0),
    ],
)
def test_two_lives_that_agree_are_a_habit(sights: list[tuple[float, int]], period: float | None) -> None:
    assert seen(*sights).period == period


def test_another_port_of_ours_or_another_network_is_no_end_of_a_mapping() -> None:
    life = seen((0, 1))
    life.on_seen(7, Address("203.0.113.1", 2), now=60)
    life.on_seen(7, Address("203.0.113.2", 3), now=120)
    life.on_seen(7, Address("203.0.113.3", 4), now=180)
    assert life.period is None
