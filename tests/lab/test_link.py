from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.backends.netns.impair import loss_rules, netem_arguments
from lab.model.link import CLEAN, Crossing, Link

links = st.builds(
    lambda delay, share, loss, every, reorder, duplicate: Link(
        delay, delay * share, loss, every, reorder if delay else 0, duplicate
    ),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from([0, 2, 3, 10]),
    st.floats(0, 1),
    st.floats(0, 1),
)


def test_a_clean_cable_changes_nothing() -> None:
    assert Crossing(CLEAN, Random(1)).arrivals(3.5) == (3.5,)


@given(links, st.integers(), st.lists(st.floats(0, 10), max_size=50).map(sorted))
def test_crossings_follow_the_link(link: Link, seed: int, entries: list[float]) -> None:
    one, other = Crossing(link, Random(seed)), Crossing(link, Random(seed))
    for entry in entries:
        arrivals = one.arrivals(entry)
        assert arrivals == other.arrivals(entry)
        assert len(arrivals) <= (2 if link.duplicate else 1)
        assert all(arrival >= entry for arrival in arrivals)
        assert arrivals or link.loses


@given(st.floats(0, 1), st.lists(st.floats(0, 10), max_size=50).map(sorted))
def test_an_even_cable_is_nothing_but_late(delay: float, entries: list[float]) -> None:
    crossing = Crossing(Link(delay), Random(1))
    assert [crossing.arrivals(entry) for entry in entries] == [(entry + delay,) for entry in entries]
    assert Link(delay).even
    assert not any(
        link.even for link in (Link(1, 0.5), Link(1, loss=0.5), Link(1, reorder=0.5), Link(1, duplicate=0.5))
    )


@given(st.integers(), st.lists(st.floats(0, 10), min_size=2, max_size=50).map(sorted))
def test_jitter_does_not_reorder(seed: int, entries: list[float]) -> None:
    crossing = Crossing(Link(delay=0.1, jitter=0.1), Random(seed))
    arrivals = [crossing.arrivals(entry)[0] for entry in entries]
    assert arrivals == sorted(arrivals)


def test_every_third_is_lost() -> None:
    crossing = Crossing(Link(lose_every=3), Random(1))
    assert [len(crossing.arrivals(0)) for _ in range(7)] == [1, 1, 0, 1, 1, 0, 1]


def test_loss_is_a_share() -> None:
    crossing = Crossing(Link(loss=0.3), Random(1))
    lost = sum(not crossing.arrivals(0) for _ in range(10_000))
    assert 2_800 < lost < 3_200


def test_some_overtake() -> None:
    crossing = Crossing(Link(delay=1, reorder=0.5), Random(1))
    assert {crossing.arrivals(5)[0] for _ in range(20)} == {5, 6}


@pytest.mark.parametrize(
    "wrong",
    [{"loss": 1.5}, {"delay": 1, "jitter": 2}, {"lose_every": 1}, {"lose_every": -1}, {"reorder": 0.1}],
)
def test_what_no_cable_can_do_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"between|every|delay"):
        Link(**wrong)  # type: ignore[arg-type]  # one of them is a whole number


def test_loss_becomes_filter_rules_for_both_directions() -> None:
    text = loss_rules({"g1": Link(loss=0.05), "h1": Link(lose_every=4), "g2": Link(delay=1)})
    assert 'iifname "g1" numgen random mod 100000 < 5000 drop' in text
    assert 'oifname "g1" numgen random mod 100000 < 5000 drop' in text
    assert 'iifname "h1" numgen inc mod 4 3 drop' in text
    assert "g2" not in text
    assert loss_rules({"g2": Link(delay=1)}) == ""


def test_delay_becomes_words_of_netem() -> None:
    link = Link(delay=0.04, jitter=0.005, loss=0.5, reorder=0.25, duplicate=0.01)
    words = netem_arguments(link)
    assert words[3:] == ["delay", "40ms", "5ms", "reorder", "25%", "duplicate", "1%"]
    assert "loss" not in words
