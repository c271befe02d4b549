"""The gate over real netfilter: green as it is, red for every gateway that is broken on purpose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.backends.netns.world import World
from lab.gate import tools
from lab.gate.suspects import Candidate
from lab.gate.trial import try_namespaces
from lab.gate.verdict import Report
from lab.model.nat import Lifetime
from lab.model.presets import PRESETS
from lab.model.topology import ROUTER
from tests.conftest import require
from tests.lab.breakages import BREAKAGES, Breakage

pytestmark = pytest.mark.netns

CHECKOUT = Path(__file__).parents[2]
TOOLS = {"natdiscovery -m", "natdiscovery -f", "natdiscovery -H", "stun-client"}


@pytest.fixture(scope="module")
def programs() -> None:
    require("the programs that judge NATs", ", ".join(tools.missing()) or None)


@pytest.mark.usefixtures("programs")
def test_every_gateway_is_what_it_claims() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "gate", "--tools", "--json"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    report: dict[str, Any] = json.loads(done.stdout)
    lies = [
        (gateway["gateway"], finding)
        for gateway in report["gateways"]
        for finding in gateway["findings"]
        if not finding["honest"]
    ]
    assert lies == []
    assert (done.returncode, report["honest"], report["missing_tools"]) == (0, True, [])
    titles = {gateway["gateway"] for gateway in report["gateways"]}
    assert titles >= set(PRESETS) | {f"{name} (iptables)" for name in ("full-cone", "address-restricted", "double")}
    for gateway in report["gateways"]:
        assert {finding["probe"] for finding in gateway["findings"]} >= TOOLS


# ------------------------------------------------------------------------------------------------- broken on purpose


def tamper(world: World) -> None:
    """Break what is not in the rules: the last suspects are plain port-restricted ones."""
    count = len(BREAKAGES)
    # One hop does not count.
    mangle = ["iptables", "-t", "mangle", "-A", "PREROUTING", "-j", "TTL", "--ttl-inc", "1"]
    world.namespace(f"g{count + 1}").run(*mangle)
    world.set_lifetime(f"b{count + 2}-0", Lifetime(30, 120))
    assert ROUTER in world.namespaces


TAMPERED = ("hops", "unreplied")
MOST_LOOKS = 3
"""Probes that wait for seconds may miss their moment on a machine that is busy with other tests."""


class Broken:
    """Looks at all gateways that are broken on purpose, as many as are needed and MOST_LOOKS at most."""

    def __init__(self) -> None:
        self._reports: list[Report] = []

    def looks(self) -> Iterator[Report]:
        """Go through the looks that were taken, and then through new ones."""
        for number in range(MOST_LOOKS):
            if number == len(self._reports):
                tampered = [Candidate(PRESETS["port-restricted"])] * len(TAMPERED)
                suspects = [*(one.candidate for one in BREAKAGES), *tampered]
                self._reports.append(try_namespaces(suspects, tries=1, tamper=tamper))
            yield self._reports[number]

    def seen(self) -> list[Report]:
        """Return the looks that were taken, one at least."""
        return self._reports or [next(self.looks())]


@pytest.fixture(scope="module")
def broken() -> Broken:
    require("the programs that judge NATs", ", ".join(tools.missing()) or None)
    return Broken()


def noticed(report: Report, place: int) -> set[str]:
    return {finding.probe for finding in report.verdicts[place].lies}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", range(len(BREAKAGES)), ids=lambda place: f"{BREAKAGES[place].preset}: {place}")
def test_a_broken_gateway_is_noticed(broken: Broken, place: int) -> None:
    breakage: Breakage = BREAKAGES[place]
    looks = []
    for report in broken.looks():
        looks.append(noticed(report, place))
        if not report.verdicts[place].honest and looks[-1] >= breakage.noticed:
            return
    pytest.fail(f"not noticed: {breakage.what}: {looks}")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", range(len(TAMPERED)), ids=TAMPERED)
def test_a_wrong_hop_or_lifetime_is_noticed(broken: Broken, place: int) -> None:
    looks = []
    for report in broken.looks():
        looks.append(noticed(report, len(BREAKAGES) + place))
        assert TAMPERED[place] in looks[-1]
        if looks[-1] <= {"hops", "prime", "unreplied", "assured"}:
            return
    pytest.fail(f"more than what was broken was noticed: {looks}")


def test_each_probe_notices_something(broken: Broken) -> None:
    """A probe that never turns red proves nothing."""
    verdicts = [verdict for report in broken.seen() for verdict in report.verdicts]
    asked = {finding.probe for verdict in verdicts for finding in verdict.findings}
    red = {finding.probe for verdict in verdicts for finding in verdict.lies}
    # Linux renews flows from outside and keeps neighbours apart whatever the rules say; the simulator breaks these.
    assert asked - red <= {"renewal", "sharing"}
