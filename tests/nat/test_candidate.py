from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.candidate import LIFE, Candidate, CandidateSet, Kind, Rank, rank
from clawchat.values.address import Address

HOME = [ipaddress.ip_network("192.168.1.0/24"), ipaddress.ip_network("2001:db8:5::/64")]


def at(text: str) -> Address:
    return Address.parse(text)


ONE, TWO, THREE = at("203.0.113.1:1"), at("203.0.113.1:2"), at("203.0.113.1:3")


@pytest.mark.parametrize(
    ("address", "kind", "expected"),
    [
        ("192.168.1.7:5", Kind.HOST, Rank.SAME_SUBNET),
        ("[2001:db8:5::7]:5", Kind.HOST, Rank.SAME_SUBNET),
        ("192.168.1.1:5", Kind.MAPPED, Rank.SAME_SUBNET),
        ("[2001:db8:6::7]:5", Kind.HOST, Rank.IPV6),
        ("[2001:db8:6::7]:5", Kind.SERVER_REFLEXIVE, Rank.IPV6),
        ("203.0.113.1:5", Kind.HOST, Rank.MAPPED),
        ("203.0.113.1:5", Kind.MAPPED, Rank.MAPPED),
        ("203.0.113.1:5", Kind.SERVER_REFLEXIVE, Rank.REFLEXIVE),
        ("203.0.113.1:5", Kind.PEER_REFLEXIVE, Rank.REFLEXIVE),
        ("203.0.113.1:5", Kind.PREDICTED, Rank.PREDICTED),
        ("192.168.2.7:5", Kind.HOST, Rank.ELSEWHERE),
        ("[fd00::7]:5", Kind.HOST, Rank.ELSEWHERE),
        ("192.168.1.9:5", Kind.RELAYED, Rank.RELAYED),
        ("203.0.113.1:5", Kind.RELAYED, Rank.RELAYED),
    ],
)
def test_the_nearer_and_the_surer_go_first(address: str, kind: Kind, expected: Rank) -> None:
    assert rank(at(address), kind, HOME) is expected


@pytest.mark.parametrize(
    ("kind", "age", "fresh"),
    [
        (Kind.HOST, 1e9, True),
        (Kind.MAPPED, 1e9, True),
        (Kind.RELAYED, 1e9, True),
        (Kind.SERVER_REFLEXIVE, 119, True),
        (Kind.SERVER_REFLEXIVE, 120, False),
        (Kind.PEER_REFLEXIVE, 120, False),
        (Kind.PREDICTED, 29, True),
        (Kind.PREDICTED, 30, False),
    ],
)
def test_what_a_nat_told_grows_old(kind: Kind, age: float, *, fresh: bool) -> None:
    assert Candidate(ONE, kind, 100.0).is_fresh(now=100.0 + age) is fresh


class TestSet:
    def test_an_address_is_offered_once_under_the_kind_believed_most(self) -> None:
        found = CandidateSet()
        found.replace(Kind.SERVER_REFLEXIVE, [ONE, TWO], now=0.0)
        found.replace(Kind.HOST, [TWO], now=0.0)
        assert [(each.address, each.kind) for each in found.candidates(now=1.0)] == [
            (TWO, Kind.HOST),
            (ONE, Kind.SERVER_REFLEXIVE),
        ]

    def test_the_generation_grows_with_changes_only(self) -> None:
        found = CandidateSet()
        assert found.replace(Kind.HOST, [ONE], now=0.0)
        assert not found.replace(Kind.HOST, [ONE], now=5.0)
        assert not found.add(Kind.SERVER_REFLEXIVE, ONE, now=5.0)  # known already, and more surely
        assert found.add(Kind.SERVER_REFLEXIVE, TWO, now=5.0)
        assert found.generation == 2

    def test_hearing_again_keeps_fresh(self) -> None:
        found = CandidateSet()
        found.add(Kind.PEER_REFLEXIVE, ONE, now=0.0)
        assert not found.add(Kind.PEER_REFLEXIVE, ONE, now=100.0)
        assert found.offer(now=200.0) == (ONE,)
        assert found.offer(now=220.0) == ()

    def test_pruning_is_a_change_once(self) -> None:
        found = CandidateSet()
        found.add(Kind.PREDICTED, ONE, now=0.0)
        found.add(Kind.HOST, TWO, now=0.0)
        assert not found.prune(now=10.0)
        assert found.prune(now=31.0)
        assert not found.prune(now=32.0)
        assert found.generation == 3
        assert found.offer(now=32.0) == (TWO,)

    def test_when_room_is_short_every_kind_gets_its_share(self) -> None:
        found = CandidateSet()
        found.replace(Kind.HOST, [at(f"10.0.0.{n}:1") for n in range(1, 9)], now=0.0)
        found.replace(Kind.MAPPED, [ONE], now=0.0)
        found.replace(Kind.SERVER_REFLEXIVE, [TWO, THREE], now=0.0)
        assert found.offer(now=0.0, limit=5) == (at("10.0.0.1:1"), at("10.0.0.2:1"), ONE, TWO, THREE)
        assert found.offer(now=0.0, limit=2) == (at("10.0.0.1:1"), ONE)

    @given(
        told=st.lists(st.tuples(st.sampled_from(list(Kind)), st.integers(1, 6), st.floats(0, 300)), max_size=20),
        limit=st.integers(0, 8),
    )
    def test_an_offer_has_no_address_twice_and_nothing_stale(
        self, told: list[tuple[Kind, int, float]], limit: int
    ) -> None:
        found = CandidateSet()
        newest: dict[tuple[Kind, Address], float] = {}
        for kind, port, moment in told:
            found.add(kind, Address("203.0.113.1", port), now=moment)
            newest[kind, Address("203.0.113.1", port)] = moment
        fresh = {address for (kind, address), moment in newest.items() if 300.0 - moment < LIFE[kind]}
        assert set(found.offer(now=300.0)) == fresh
        offered = found.offer(now=300.0, limit=limit)
        assert len(offered) == len(set(offered)) == min(limit, len(fresh))
        assert set(offered) <= fresh
