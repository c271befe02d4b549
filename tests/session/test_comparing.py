from __future__ import annotations

from random import Random

import pytest

from clawchat.nat.probing import Answered, Prober
from clawchat.session.comparing import Comparing, is_faster
from clawchat.values.address import Address, Path
from clawchat.values.limits import COMPARE_AFTER, COMPARE_TIMES
from clawchat.values.timers import NEVER

HAIRPIN, LAN, OTHER = (Path(0, Address(host, 7)) for host in ("203.0.113.1", "10.0.0.2", "10.0.0.3"))


@pytest.mark.parametrize(
    ("rtt", "than", "faster"),
    [
        (0.001, 0.010, True),
        (0.005, 0.010, True),
        (0.006, 0.010, False),
        (0.095, 0.100, False),
        (0.090, 0.100, True),
        (0.0909, 0.100, False),
        (0.010, 0.001, False),
    ],
)
def test_a_change_has_to_be_worth_it_in_time_and_in_share(rtt: float, than: float, *, faster: bool) -> None:
    assert is_faster(rtt, than) is faster


def comparing(*ways: Path) -> tuple[Comparing, Prober]:
    prober = Prober(Random(1).randbytes)
    found = Comparing(prober)
    found.begin(HAIRPIN, ways, now=0.0)
    return found, prober


def test_all_ways_are_probed_once_and_only_when_it_is_time() -> None:
    compared, prober = comparing(HAIRPIN, LAN)
    compared.probe(now=0.5)
    assert prober.take(now=0.5) == []
    compared.probe(now=COMPARE_AFTER)
    assert [frame.path for frame in prober.take(now=COMPARE_AFTER)] == [HAIRPIN, LAN] * COMPARE_TIMES
    assert compared.deadline == NEVER


def test_the_faster_one_is_taken_once_both_are_known() -> None:
    compared, _ = comparing(LAN, OTHER)
    compared.probe(now=COMPARE_AFTER)
    assert compared.on_answer(Answered(LAN, 0.001), HAIRPIN) is None
    assert compared.on_answer(Answered(OTHER, 0.002), HAIRPIN) is None
    assert compared.on_answer(Answered(HAIRPIN, 0.020), HAIRPIN) == LAN


def test_a_slow_first_answer_is_forgiven() -> None:
    compared, _ = comparing(LAN)
    compared.probe(now=COMPARE_AFTER)
    assert compared.on_answer(Answered(HAIRPIN, 0.004), HAIRPIN) is None
    assert compared.on_answer(Answered(HAIRPIN, 0.040), HAIRPIN) is None
    assert compared.on_answer(Answered(LAN, 0.001), HAIRPIN) is None


def test_there_is_nothing_to_compare_with_one_way_or_with_strangers() -> None:
    alone, _ = comparing(HAIRPIN)
    assert alone.deadline == NEVER
    compared, _ = comparing(LAN)
    assert compared.on_answer(Answered(HAIRPIN, 0.5), HAIRPIN) is None
    compared.probe(now=COMPARE_AFTER)
    compared.on_answer(Answered(HAIRPIN, 0.5), HAIRPIN)
    assert compared.on_answer(Answered(OTHER, 0.001), HAIRPIN) is None
    compared.stop()
    assert compared.on_answer(Answered(LAN, 0.001), HAIRPIN) is None
