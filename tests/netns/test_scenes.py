"""The network changes under a transfer between two programs behind NATs: what the scenes of the laboratory claim."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from lab.scenes import drop, rotation
from lab.scenes.mishaps import SCENES, play
from tests.conftest import require
from tests.netns.home import missing

pytestmark = [
    pytest.mark.netns,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's"),
]

BOTH_WAYS = ("cut", "roam", "carrier-dies")
"""Scenes that go differently for the two ends: who sends notices first."""

LONG = ("relays-restart",)
"""Coming back to relays takes as long as their members wait between two tries: half a minute, and at times a whole."""

CASES = [(name, "upload") for name in SCENES if name not in LONG] + [(name, "download") for name in BOTH_WAYS]


QUICK_DROPS = [name for name in drop.names() if name != "drop-60"]
"""The slowest folder needs two minutes; without a kernel it is tried in tests/session/test_meeting.py."""


SHORT = {loss: rotation.scenes(rotation.Load(mib=12, seconds=18.0, loss=loss)) for loss in (0.0, 0.05)}
"""Long enough for several moves of either end; the scenes themselves take minutes."""


@pytest.mark.parametrize(("name", "loss"), [("full-cone", 0.0), ("port-restricted", 0.05), ("symmetric", 0.0)])
def test_keys_and_ports_change_under_a_transfer_both_ways(
    name: str, loss: float, figure: Callable[[str], None]
) -> None:
    """A server behind a full cone once told its clients of a port it had left, where it still answered."""
    require("a router's firewall", missing("nft", "nftables"))
    outcome = play(SHORT[loss][f"rotate-{name}"], "both")
    figure("; ".join(f"{claim.what}: {claim.seen}" for claim in outcome.claims))
    assert outcome.held, (outcome.trouble, [claim.as_json() for claim in outcome.claims if not claim.holds])


@pytest.mark.parametrize("name", QUICK_DROPS)
def test_two_programs_meet_by_files_alone(name: str, figure: Callable[[str], None]) -> None:
    require("a router's firewall", missing("nft", "nftables"))
    outcome = drop.play(name)
    figure("; ".join(f"{claim.what}: {claim.seen}" for claim in outcome.claims))
    assert outcome.held, (outcome.trouble, [claim.as_json() for claim in outcome.claims if not claim.holds])


@pytest.mark.parametrize(("name", "way"), CASES)
def test_what_a_scene_claims_holds(name: str, way: str, figure: Callable[[str], None]) -> None:
    require("a router's firewall", missing("nft", "nftables") or missing("conntrack", "conntrack"))
    outcome = play(SCENES[name], way)
    figure("; ".join(f"{claim.what}: {claim.seen}" for claim in outcome.claims))
    assert outcome.held, (outcome.trouble, [claim.as_json() for claim in outcome.claims if not claim.holds])
