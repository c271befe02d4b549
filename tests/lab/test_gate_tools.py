from __future__ import annotations

import pytest

from lab.gate.claims import Claim
from lab.gate.tools import claimed_classic, claimed_hairpin, majority, read_behaviour, read_classic, read_hairpin
from lab.model.presets import preset

MAPPING = """
-= Mapping Behavior Discovery =-

========================================
RFC 5780 response 1
No ALG: Mapped == XOR-Mapped
0: : IPv4. Response origin: : 198.51.100.1:3478
0: : IPv4. UDP reflexive addr: 203.0.113.1:38687

========================================
No NAT! (Endpoint Independent Mapping)
========================================

========================================
NAT with Address and Port Dependent Mapping!
========================================
"""
HAIRPIN = """
-= Hairpinning Behavior Discovery =-
0: : IPv4. UDP reflexive addr: 203.0.113.1:33763
"""


def test_the_last_word_of_natdiscovery_counts() -> None:
    assert read_behaviour(MAPPING) == "address-and-port-dependent"
    assert read_behaviour(MAPPING.replace("Address and Port Dependent Mapping", "Address Dependent Filtering")) == (
        "address-dependent"
    )
    assert read_behaviour("STUN receive timeout..") == "no answer"


def test_hairpinning_is_told_from_silence() -> None:
    assert read_hairpin(HAIRPIN + "Received a request (maybe a successful hairpinning)") == "turns packets around"
    assert read_hairpin(HAIRPIN + "STUN receive timeout..") == "does not"
    assert read_hairpin("Address family not supported by protocol") == "no answer"


def test_the_classic_sentence_is_found() -> None:
    output = "STUN client version 0.97\nPrimary: Open\t\nReturn value is 0x000001\n"
    assert read_classic(output) == "Open"
    assert read_classic("") == "no answer"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("open", "Open"),
        ("udp-blocked", "Blocked or could not reach STUN server"),
        ("full-cone", "Independent Mapping, Independent Filter, preserves ports, no hairpin"),
        ("address-restricted", "Independent Mapping, Address Dependent Filter, preserves ports, no hairpin"),
        ("cgnat", "Independent Mapping, Port Dependent Filter, random port, no hairpin"),
        ("full-cone-hairpin", "Independent Mapping, Independent Filter, preserves ports, will hairpin"),
        ("symmetric-random", "Dependent Mapping, random port, no hairpin"),
    ],
)
def test_the_classic_sentence_follows_from_the_claim(name: str, sentence: str) -> None:
    assert claimed_classic(Claim(preset(name).layers)) == sentence


def test_a_filter_for_a_whole_host_is_open_by_the_time_it_is_asked() -> None:
    layers = preset("address-restricted").layers
    assert "Independent Filter" in claimed_classic(Claim(layers, opens_host=True))


def test_a_host_without_a_nat_reaches_itself() -> None:
    assert claimed_hairpin(Claim(preset("open").layers)) == "turns packets around"
    assert claimed_hairpin(Claim(preset("port-restricted").layers)) == "does not"
    assert claimed_hairpin(Claim(preset("udp-blocked").layers)) == "no answer"


def test_two_of_three_decide() -> None:
    assert majority(["a", "b", "a"]) == "a"
    assert majority(["a", "b", "c"]) == "no two runs agree: a / b / c"
