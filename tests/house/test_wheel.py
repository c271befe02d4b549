"""The wheel: what it ships, what it leaves at home, and that its two commands start anywhere."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = {"clawchat", "client", "server"}


def run(*argv: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, checkout, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_it_ships_the_core_and_the_programs_and_nothing_else(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == SHIPPED


def test_it_ships_every_module_of_the_checkout(names: set[str], checkout: Path) -> None:
    modules = {path.relative_to(checkout).as_posix() for top in SHIPPED for path in (checkout / top).rglob("*.py")}
    assert modules <= names


def test_it_says_that_it_is_typed(names: set[str]) -> None:
    assert "clawchat/py.typed" in names


def test_it_carries_its_licence(names: set[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_its_entry_points_are_the_two_programs(wheel: Path, names: set[str]) -> None:
    (where,) = (name for name in names if name.endswith("entry_points.txt"))
    points = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        points.read_string(archive.read(where).decode())
    assert dict(points["console_scripts"]) == {"clawchat": "client.cli:main", "clawchat-server": "server.cli:main"}


def test_check_wheel_contents_finds_nothing(wheel: Path, checkout: Path) -> None:
    config = checkout / "pyproject.toml"
    run(sys.executable, "-m", "check_wheel_contents", "--config", config, wheel, cwd=wheel.parent)


@pytest.mark.slow
def test_installed_elsewhere_both_commands_start(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "environment"
    venv.create(place, system_site_packages=False, with_pip=False)
    scripts = place / ("Scripts" if os.name == "nt" else "bin")
    # The packages we depend on are already here; only our own wheel must come from the new place.
    (packages,) = place.glob("lib/python*/site-packages" if os.name != "nt" else "Lib/site-packages")
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", packages, "-q", wheel, cwd=tmp_path)
    (packages / "dependencies.pth").write_text("\n".join(dependencies), encoding="utf-8")
    python = scripts / "python"
    where = run(python, "-c", "import clawchat; print(clawchat.__file__)", cwd=tmp_path)
    assert str(place) in where
    for module in ("client", "server"):
        program = f"import sys; sys.argv[1:] = ['--help']; from {module}.cli import main; main()"
        assert "Usage" in run(python, "-c", program, cwd=tmp_path)
