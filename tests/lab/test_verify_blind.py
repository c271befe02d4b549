"""The blind half: how seldom it raises a false alarm, and that its bounds are bounds."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.verify import blind, columns
from lab.verify.blind import Test as Examination
from lab.verify.canaries import Needle, Needles, of_bytes, of_text
from lab.verify.chance import (
    BITS_SHARE,
    BYTES_SHARE,
    CANARY_SHARE,
    COLUMN_SHARE,
    FALSE_ALARMS,
    binomial_tail,
    chi_squared_tails,
    poisson_tail,
)
from lab.verify.rehearsal import Sent, captured

RUNS = 100


def noise(seed: int, *, flows: int = 6, each: int = 12) -> list[Sent]:
    chance = random.Random(seed)
    return [
        Sent(("10.1.0.2", 4000 + flow), ("203.0.113.9", 5000), chance.randbytes(chance.randrange(48, 400)))
        for _ in range(each)
        for flow in range(flows)
    ]


def examined(seed: int, **shape: int) -> blind.Blind:
    needles = Needles()
    needles.add_all(of_text("anna"))
    needles.add(Needle("an address", "raw", bytes((10, 1, 0, 2))))
    return blind.examine(captured(noise(seed, **shape)).udp, needles=needles, hidden=Needles())


def test_the_shares_add_up_to_less_than_the_false_alarm_rate() -> None:
    assert 2 * CANARY_SHARE + COLUMN_SHARE + BYTES_SHARE + BITS_SHARE < FALSE_ALARMS


def test_random_bytes_raise_no_alarm() -> None:
    assert [finding for seed in range(RUNS) for finding in examined(seed).findings] == []
    assert examined(0, flows=1, each=400).findings == []
    assert examined(0, flows=400, each=1).findings == []


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_each_test_alarms_at_most_as_often_as_it_may(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """With large shares the rates can be counted; bounds are wide, so the counts are small."""
    for module, name in ((columns, "COLUMN_SHARE"), (blind, "BYTES_SHARE"), (blind, "BITS_SHARE")):
        monkeypatch.setattr(module, name, share)
    runs = [examined(seed) for seed in range(1000, 1000 + RUNS)]
    for test in (Examination.COLUMN, Examination.BYTES, Examination.BITS):
        alarms = sum(any(finding.test is test for finding in run.findings) for run in runs)
        assert alarms <= RUNS * share, test


def exact_tail(trials: int, hits: int, probability: float) -> float:
    terms = (math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k) for k in range(hits, trials + 1))
    return math.fsum(terms)


@given(trials=st.integers(1, 60), share=st.floats(0, 1), probability=st.sampled_from([1 / 256, 0.5, 0.9]))
def test_the_binomial_bound_is_one(trials: int, share: float, probability: float) -> None:
    hits = round(share * trials)
    assert exact_tail(trials, hits, probability) <= binomial_tail(trials, hits, probability) * (1 + 1e-9)


@given(expected=st.floats(1e-6, 20), hits=st.integers(0, 60))
def test_the_poisson_bound_is_one(expected: float, hits: int) -> None:
    below = math.fsum(math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(hits))
    assert 1 - below <= poisson_tail(expected, hits) + 1e-9


def test_the_chi_squared_bound_is_one() -> None:
    # Quantiles of the distribution with 255 degrees of freedom, from tables.
    for statistic, tail in ((284.3, 0.1), (310.5, 0.01), (330.5, 0.001), (226.8, 0.1), (205.4, 0.01)):
        assert tail <= chi_squared_tails(statistic, 255)
    assert chi_squared_tails(430.0, 255) < BYTES_SHARE
    assert chi_squared_tails(90.0, 255) < BYTES_SHARE


@given(data=st.binary(min_size=3, max_size=40), before=st.binary(max_size=7), after=st.binary(max_size=7))
def test_every_form_of_a_canary_is_found(data: bytes, before: bytes, after: bytes) -> None:
    import base64

    whole = before + data + after
    forms = {needle.form: needle.data for needle in of_bytes("it", data)}
    assert forms["raw"] in whole
    assert forms["hex"] in whole.hex().encode()
    assert forms["HEX"] in whole.hex().upper().encode()
    shift = len(before) % 3
    assert forms[f"base64+{shift}"] in base64.b64encode(whole)
    assert forms[f"base64url+{shift}"] in base64.urlsafe_b64encode(whole)


def test_a_file_is_found_by_any_piece_of_it() -> None:
    sent = random.Random(1).randbytes(5000)
    needles = Needles()
    needles.add_all(of_bytes("file", sent))
    udp = noise(2)
    udp[7] = udp[7]._replace(payload=b"\x17" * 3 + sent[1234:1300])
    found = blind.examine(captured(udp).udp, needles=needles, hidden=Needles()).findings
    assert [one.text for one in found if one.test is Examination.CANARY] == ["file as raw, in 1 datagrams"]


def test_one_short_match_is_chance_and_many_are_not() -> None:
    needles = Needles()
    needles.add(Needle("it", "raw", b"bob"))
    chance = random.Random(4)
    hay = bytearray(chance.randbytes(300_000))
    hay[1000:1003] = b"bob"
    assert list(needles.count_short(bytes(hay))) == []
    for at in range(2000, 2300, 30):
        hay[at : at + 3] = b"bob"
    (hit,) = needles.count_short(bytes(hay))
    assert hit.probability < CANARY_SHARE


def test_what_is_too_little_is_said() -> None:
    few = blind.examine(captured(noise(1, flows=1, each=3)).udp, needles=Needles(), hidden=Needles())
    assert set(few.skipped) == {Examination.COLUMN, Examination.BYTES, Examination.BITS, Examination.LENGTH}


def test_other_protocols_may_not_give_names_away_either() -> None:
    hidden = Needles()
    hidden.add_all(of_text("a rather long name"))
    found = blind.examine(
        captured(noise(1)).udp, needles=Needles(), elsewhere=[b"GET /a rather long name"], hidden=hidden
    )
    assert [finding.test for finding in found.findings] == [Examination.CANARY]
    assert "outside of UDP" in found.findings[0].text
