"""The floors: every package stands on one, and the machines that guard them really bite."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PURE = ("values", "crypto", "wire", "transport", "nat", "session", "services")


def lint_imports(where: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([program, "--no-cache"], cwd=where, capture_output=True, text=True, timeout=60, check=False)


def ruff(where: Path, *files: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", *files]
    return subprocess.run(argv, cwd=where, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def copy(checkout: Path, tmp_path: Path) -> Path:
    """Return a copy of the checkout's code that a test may spoil."""
    for name in ("clawchat", "client", "server", "lab"):
        shutil.copytree(checkout / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_package_of_the_core_stands_on_a_floor(checkout: Path, pyproject: dict[str, Any]) -> None:
    packages = {f"clawchat.{path.parent.name}" for path in checkout.glob("clawchat/*/__init__.py")}
    (contract,) = (each for each in pyproject["tool"]["importlinter"]["contracts"] if each["id"] == "floors")
    on_a_floor = {name.strip() for floor in contract["layers"] for name in floor.split("|")}
    assert packages | {"client", "server", "lab"} == on_a_floor


def test_floors_0_to_4_are_declared_pure(pyproject: dict[str, Any]) -> None:
    (contract,) = (each for each in pyproject["tool"]["importlinter"]["contracts"] if each["id"] == "pure")
    assert set(contract["source_modules"]) == {f"clawchat.{name}" for name in PURE}


@pytest.mark.parametrize("package", PURE)
def test_no_pure_floor_is_excused_from_the_banned_calls(package: str, pyproject: dict[str, Any]) -> None:
    excused = pyproject["tool"]["ruff"]["lint"]["per-file-ignores"]
    assert not [pattern for pattern in excused if pattern.startswith((f"clawchat/{package}", "clawchat/*"))]


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("clawchat/values/spoiled.py", "import clawchat.session"),
        ("clawchat/session/spoiled.py", "import socket"),
        ("clawchat/transport/spoiled.py", "import clawchat.nat"),
        ("client/spoiled.py", "import server"),
        ("server/spoiled.py", "import client"),
        ("clawchat/net/spoiled.py", "import lab"),
    ],
)
def test_an_import_that_climbs_is_refused(module: str, imported: str, copy: Path) -> None:
    (copy / module).write_text(f"{imported}\n", encoding="utf-8")
    done = lint_imports(copy)
    assert done.returncode != 0
    assert "BROKEN" in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "from time import monotonic",
        "import random",
        "from datetime import datetime as d; d.now()",
        "from os import urandom",
        "from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey as K; K.generate()",
        "import pathlib; pathlib.Path('x')",
    ],
)
def test_a_clock_or_chance_in_the_core_is_refused(line: str, copy: Path) -> None:
    (copy / "clawchat/session/spoiled.py").write_text(f"{line}\n", encoding="utf-8")
    assert "TID251" in ruff(copy, "clawchat/session/spoiled.py").stdout
