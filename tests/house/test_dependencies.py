"""Dependencies: what is imported is declared, and what is declared is imported."""

from __future__ import annotations

import ast
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

OWN = {"clawchat", "client", "server", "lab", "tests", "scripts"}
SHIPPED = ("clawchat", "client", "server")
# What a distribution is imported as, where the two differ and it may not be installed here.
IMPORTED_AS = {"aioquic": "aioquic", "qh3": "qh3", "pyyaml": "yaml", "noiseprotocol": "noise"}


def imported(checkout: Path, *trees: str) -> set[str]:
    found: set[str] = set()
    for tree in trees:
        for path in (checkout / tree).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.split(".")[0])
    return found - sys.stdlib_module_names - OWN


def provided(requirements: list[str]) -> set[str]:
    """Return the top-level modules of distributions."""
    by_distribution: dict[str, set[str]] = {}
    for module, distributions in metadata.packages_distributions().items():
        for name in distributions:
            by_distribution.setdefault(_normal(name), set()).add(module)
    names = {_normal(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in requirements}
    return {module for name in names for module in by_distribution.get(name, {IMPORTED_AS.get(name, name)})}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_wheel_needs_only_what_it_declares(checkout: Path, pyproject: dict[str, Any]) -> None:
    assert imported(checkout, *SHIPPED) <= provided(pyproject["project"]["dependencies"])


def test_everything_the_wheel_declares_is_needed(checkout: Path, pyproject: dict[str, Any]) -> None:
    needed = imported(checkout, *SHIPPED)
    idle = [each for each in pyproject["project"]["dependencies"] if not provided([each]) & needed]
    assert idle == []


@pytest.mark.parametrize(
    ("tree", "extras"), [("tests", ["test", "fuzz"]), ("scripts", ["test"]), ("lab", ["test", "bench"])]
)
def test_the_other_trees_need_only_what_the_extras_declare(
    tree: str, extras: list[str], checkout: Path, pyproject: dict[str, Any]
) -> None:
    optional = pyproject["project"]["optional-dependencies"]
    declared = [*pyproject["project"]["dependencies"], *(each for extra in extras for each in optional[extra])]
    assert imported(checkout, tree) <= provided(declared)
