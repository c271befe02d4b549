"""What every test stands on: a home of its own, quiet clocks, and an honest word about what this machine lacks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import hypothesis
import pytest

from lab import netns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ["lab.pytest_natlab"]

IN_CI = os.environ.get("CI") == "true"

# A deadline would make every property a benchmark; in CI the same examples come each time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if IN_CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bench", action="store_true", help="also run the measurements (marker: bench)")
    parser.addoption("--docker", action="store_true", help="also run what needs a Docker daemon (marker: docker)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items if config.pluginmanager.hasplugin("xdist") else ():
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    left_out = {name for name in ("bench", "docker") if not config.getoption(f"--{name}")}
    unwanted = [item for item in items if any(item.get_closest_marker(name) for name in left_out)]
    if unwanted:
        config.hook.pytest_deselected(items=unwanted)
        items[:] = [item for item in items if item not in unwanted]
    # What takes longest first: it shall not be what the other worker waits for in the end.
    items.sort(key=lambda item: item.get_closest_marker("netns") is None)


def _group(item: pytest.Item) -> str:
    """Name what runs on one worker, one after the other: a file, as its fixtures want, or all networks of an area."""
    file = item.path.relative_to(item.config.rootpath)
    return f"{file.parts[1]} networks" if item.get_closest_marker("netns") else file.as_posix()


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("netns"):
        require("network namespaces", netns.available())


def require(what: str, missing: str | None) -> None:
    """Skip the test when this machine lacks something; in CI, where it must be there, fail."""
    if missing is None:
        return
    reason = f"{what}: this machine lacks {missing}"
    if IN_CI:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the person's own ClawChat out of the tests, and the tests out of it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CLAWCHAT_")]:
            patch.delenv(name)
        patch.setenv("CLAWCHAT_HOME", str(home))
        yield home
