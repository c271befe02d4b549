"""The whole matrix with real programs, held to what is expected and to the simulator, cell by cell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab import cli
from lab.matrix.report.changes import changes

pytestmark = [pytest.mark.netns, pytest.mark.slow]

MINUTES = 60
BUDGET = 5 * MINUTES
"""Seconds that 49 cells may take on a small machine that does other things as well."""


def tried(tmp_path: Path, backend: str, *arguments: str) -> dict[str, Any]:
    """Return the document of a matrix."""
    file = tmp_path / f"{backend}.json"
    done = CliRunner().invoke(cli.main, ["matrix", "--backend", backend, "--json", str(file), *arguments])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(file.read_text())
    return found


@pytest.mark.timeout(BUDGET)
def test_all_pairs_of_the_main_table_come_out_as_expected_and_as_simulated(tmp_path: Path) -> None:
    real, simulated = tried(tmp_path, "netns"), tried(tmp_path, "sim")
    assert (
        real["summary"]
        == simulated["summary"]
        == {
            "cells": 49,
            "unexpected": 0,
            "direct": 33,
            "relay": 16,
            "fail": 0,
        }
    )
    assert changes(simulated, real) == ()
    assert all(cell["proof"]["answered"] > 0 for cell in real["cells"] if cell["verdict"] == "direct")
    assert {cell["proof"]["answered"] for cell in real["cells"] if cell["verdict"] == "relay"} == {0}


SPECIMENS = [
    "poisonable-home,poisonable-home",
    "cgnat,double",
    "double,poisonable-home",
    "poisonable-home,symmetric-sequential",
    "udp-blocked-443,cgnat",
]
"""Of the second table, whose 72 cells take minutes: `python -m lab matrix --table second` tries them all."""


@pytest.mark.parametrize("pair", SPECIMENS)
def test_specimens_of_the_second_table_come_out_as_simulated(pair: str, tmp_path: Path) -> None:
    arguments = ("--pair", pair)
    assert changes(tried(tmp_path, "sim", *arguments), tried(tmp_path, "netns", *arguments)) == ()
