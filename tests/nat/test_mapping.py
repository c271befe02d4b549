from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.mapping import (
    MAX_WINDOW,
    WINDOW,
    Allocation,
    Dependence,
    Mapping,
    Observation,
    classify,
    predicted,
)
from clawchat.values.address import Address
from tests.support.little_nat import PUBLIC, LittleNat

LOCAL = 50_000
A1, A2 = Address("198.51.100.1", 3478), Address("198.51.100.1", 3479)
B1, B2 = Address("198.51.100.2", 3478), Address("198.51.100.2", 3479)
PLACES = (A1, B1, B2, A2)
UNKNOWN, ANY = Dependence.UNKNOWN, Dependence.ENDPOINT_INDEPENDENT
ADDRESS, BOTH = Dependence.ADDRESS_DEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT


def seen(
    *ports: int, servers: tuple[Address, ...] = PLACES, host: str = PUBLIC, local: int = LOCAL
) -> list[Observation]:
    """Make one observation a server, a tenth of a second apart."""
    return [
        Observation(local, server, Address(host, port), at / 10)
        for at, (port, server) in enumerate(zip(ports, servers, strict=False))
    ]


def judged(observations: list[Observation]) -> Mapping:
    mapping = classify(observations)
    assert mapping is not None
    return mapping


def test_nothing_seen_is_nothing_known() -> None:
    assert classify([]) is None


@pytest.mark.parametrize(
    ("ports", "allocation", "dependence", "step"),
    [
        ((50000,), Allocation.PRESERVING, UNKNOWN, 0),
        ((40000,), Allocation.UNKNOWN, UNKNOWN, 0),
        ((50000, 50000), Allocation.PRESERVING, ANY, 0),
        ((50000, 50000, 50000, 50000), Allocation.PRESERVING, ANY, 0),
        ((40000, 40000, 40000, 40000), Allocation.ENDPOINT_INDEPENDENT, ANY, 0),
        ((40000, 40001, 40002, 40003), Allocation.SEQUENTIAL, BOTH, 1),
        ((40000, 40002, 40004, 40006), Allocation.SEQUENTIAL, BOTH, 2),
        ((40003, 40002, 40001, 40000), Allocation.SEQUENTIAL, BOTH, -1),
        ((40000, 40003, 40004, 40009), Allocation.SEQUENTIAL, BOTH, 1),
        ((40000, 40004, 40012, 40016), Allocation.SEQUENTIAL, BOTH, 4),
        ((65534, 65535, 1024, 1025), Allocation.SEQUENTIAL, BOTH, 1),
        ((40510, 40511, 40000, 40001), Allocation.SEQUENTIAL, BOTH, 1),
        ((50000, 50001, 50002, 50003), Allocation.SEQUENTIAL, BOTH, 1),
        ((40000, 40001, 40001, 40000), Allocation.SEQUENTIAL, ADDRESS, 1),
        ((12345, 60000, 60000, 12345), Allocation.RANDOM, ADDRESS, 0),
        ((12345, 60000, 31234, 44444), Allocation.RANDOM, BOTH, 0),
        ((40000, 40001, 60000), Allocation.RANDOM, BOTH, 0),
        ((40000, 40001), Allocation.SEQUENTIAL, UNKNOWN, 1),
        ((40000, 40006), Allocation.SEQUENTIAL, UNKNOWN, 2),
        ((40000, 40007), Allocation.SEQUENTIAL, UNKNOWN, 1),
        ((40000, 50000), Allocation.RANDOM, UNKNOWN, 0),
    ],
)
def test_ports_tell_the_nat(ports: tuple[int, ...], allocation: Allocation, dependence: Dependence, step: int) -> None:
    mapping = judged(seen(*ports))
    assert (mapping.allocation, mapping.dependence, mapping.step) == (allocation, dependence, step)
    assert (mapping.lowest, mapping.highest) == (min(ports), max(ports))


def test_two_ports_of_one_server_tell_its_port_matters() -> None:
    assert judged(seen(40000, 40001, servers=(A1, A2))).dependence is BOTH


def test_two_local_ports_are_judged_apart() -> None:
    both = seen(41000, 41000) + seen(41007, 41007, local=LOCAL + 1)
    assert judged(both).allocation is Allocation.ENDPOINT_INDEPENDENT


def test_a_second_local_port_is_one_more_step_of_a_counter() -> None:
    mapping = judged(seen(41000, 41001, 41002) + seen(41003, local=LOCAL + 1))
    assert (mapping.allocation, mapping.step, mapping.last.port) == (Allocation.SEQUENTIAL, 1, 41003)


def test_every_public_address_is_kept_the_newest_first() -> None:
    mapping = judged(seen(50000, host="203.0.113.1") + seen(50000, servers=(B1,), host="203.0.113.2"))
    assert mapping.public_hosts == ("203.0.113.2", "203.0.113.1")
    assert predicted(mapping, 50000, now=1.0) == [Address("203.0.113.2", 50000), Address("203.0.113.1", 50000)]


def test_saying_it_twice_says_nothing_new() -> None:
    once = seen(40000, 40001, 40002)
    again = judged(once + once)
    assert again.allocation is Allocation.SEQUENTIAL
    assert (again.step, again.last, again.last_at) == (1, Address(PUBLIC, 40002), 0.2)


def test_drift_is_what_others_made_in_the_meantime() -> None:
    mapping = judged(seen(40000, 40003, 40004, 40007))  # four of others in 0.3 s
    assert mapping.drift == pytest.approx(4 / 0.3)
    assert judged(seen(40000, 40001, 40002)).drift == 0


class TestPrediction:
    def test_a_quiet_counter_is_foreseen_by_sixteen(self) -> None:
        found = predicted(judged(seen(40000, 40002, 40004)), LOCAL, now=9.0)
        assert found == [*(Address(PUBLIC, 40004 + 2 * k) for k in range(1, WINDOW + 1)), Address(PUBLIC, LOCAL)]

    def test_the_window_grows_with_drift_and_age_and_ends(self) -> None:
        mapping = judged(seen(40000, 40003, 40004, 40007))
        sizes = [len(predicted(mapping, LOCAL, now=mapping.last_at + age)) - 1 for age in (0, 0.3, 1.5, 1e6)]
        assert sizes == [16, 32, 96, MAX_WINDOW]

    def test_a_counter_begins_anew_behind_the_last_port(self) -> None:
        ports = [each.port for each in predicted(judged(seen(65530, 65532, 65534)), LOCAL, now=0.2)]
        assert ports[:3] == [1024, 1026, 1028]

    def test_a_counter_that_counts_down_does_not_leave_the_range(self) -> None:
        ports = [each.port for each in predicted(judged(seen(1028, 1027, 1026)), LOCAL, now=0.2)]
        assert ports[:4] == [1025, 1024, 65535, 65534]

    @pytest.mark.parametrize(
        ("ports", "expected"),
        [
            ((LOCAL, LOCAL), [LOCAL]),
            ((40000, 40000), [40000, LOCAL]),
            ((40000,), [LOCAL]),
            ((12345, 60000, 31234), [LOCAL]),
        ],
    )
    def test_others_keep_their_port_or_ours(self, ports: tuple[int, ...], expected: list[int]) -> None:
        assert [each.port for each in predicted(judged(seen(*ports)), LOCAL, now=1.0)] == expected


STEPS = st.integers(1, 8).flatmap(lambda size: st.sampled_from([size, -size]))


def observe(nat: LittleNat, servers: tuple[Address, ...], foreign: list[int]) -> list[Observation]:
    """Ask the servers one after the other, while others use the NAT in between."""
    found = []
    for at, server in enumerate(servers):
        nat.foreign(foreign[at] if at < len(foreign) else 0)
        found.append(Observation(LOCAL, server, nat.outbound(LOCAL, server), float(at)))
    return found


class TestAgainstANat:
    """What is concluded holds for the NAT that was observed."""

    @given(step=STEPS, start=st.integers(1024, 65535))
    def test_a_counter_is_recognised_wherever_it_stands(self, step: int, start: int) -> None:
        mapping = judged(observe(LittleNat(step, BOTH, next_port=start), PLACES, []))
        assert (mapping.allocation, mapping.step) == (Allocation.SEQUENTIAL, step)

    @given(step=STEPS, start=st.integers(5000, 60000), later=st.integers(0, WINDOW - 1))
    def test_the_next_mapping_of_a_counter_is_foreseen(self, step: int, start: int, later: int) -> None:
        nat = LittleNat(step, BOTH, next_port=start)
        mapping = judged(observe(nat, PLACES, []))
        nat.foreign(later)
        peer = Address("198.51.100.77", 9)
        assert nat.outbound(LOCAL, peer) in predicted(mapping, LOCAL, now=mapping.last_at)

    @given(
        foreign=st.lists(st.integers(0, 12), min_size=4, max_size=4),
        share=st.floats(0, 1),
        start=st.integers(5000, 60000),
    )
    def test_so_it_is_when_others_use_the_nat_as_they_did_before(
        self, foreign: list[int], share: float, start: int
    ) -> None:
        nat = LittleNat(1, BOTH, next_port=start)
        mapping = judged(observe(nat, PLACES, foreign))
        assert mapping.allocation is Allocation.SEQUENTIAL
        if abs(mapping.step) == 1:  # with luck all gaps have a common divisor, which no four ports can tell
            nat.foreign(int(share * mapping.drift))
            assert nat.outbound(LOCAL, Address("198.51.100.77", 9)) in predicted(
                mapping, LOCAL, now=mapping.last_at + 1
            )

    @given(seed=st.integers(0, 10_000))
    def test_dice_are_not_taken_for_a_counter(self, seed: int) -> None:
        nat = LittleNat("random", BOTH, chance=random.Random(seed))
        assert judged(observe(nat, PLACES, [])).allocation is Allocation.RANDOM

    @given(
        allocation=st.sampled_from(["preserve", "remap"]), local_ports=st.lists(st.integers(1024, 65535), min_size=1)
    )
    def test_a_port_for_all_is_recognised(self, allocation: str, local_ports: list[int]) -> None:
        nat = LittleNat(allocation)
        observations = [
            Observation(local, server, nat.outbound(local, server), 0.0) for local in local_ports for server in PLACES
        ]
        mapping = judged(observations)
        assert mapping.dependence is ANY
        assert mapping.allocation in {Allocation.PRESERVING, Allocation.ENDPOINT_INDEPENDENT}
        assert nat.outbound(local_ports[-1], Address("198.51.100.77", 9)) in [each.observed for each in observations]

    @given(
        ports=st.lists(st.integers(1, 65535), min_size=1, max_size=8),
        locals_=st.lists(st.integers(1, 65535), min_size=8, max_size=8),
        now=st.floats(-10, 1e6),
    )
    def test_whatever_was_seen_there_is_a_judgement(self, ports: list[int], locals_: list[int], now: float) -> None:
        servers = (*PLACES, *PLACES)
        observations = [
            Observation(locals_[at], servers[at], Address(PUBLIC, port), float(at)) for at, port in enumerate(ports)
        ]
        mapping = judged(observations)
        found = predicted(mapping, LOCAL, now=now)
        assert Address(PUBLIC, LOCAL) in found
        assert len(found) <= MAX_WINDOW + 1
        assert all(0 < each.port <= 65535 for each in found)
        assert (mapping.step != 0) is (mapping.allocation is Allocation.SEQUENTIAL)


def test_ports_that_rise_by_chance_inside_a_small_block_were_not_counted() -> None:
    assert judged(seen(40_085, 40_170, 40_260, 40_330)).allocation is Allocation.RANDOM
    assert judged(seen(40_085, 40_170, 40_172, 40_173)).allocation is Allocation.SEQUENTIAL
