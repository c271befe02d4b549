"""A real server in the dark, and a place for the figures its tests saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.initialise import initialise
from tests.netns.figures import summarise
from tests.server.running import RunningServer

HERE = Path(__file__).parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    summarise(terminalreporter, HERE)


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return what notes a figure for the end of the run."""
    return lambda text: record_property("figure", text)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(initialise(tmp_path / "server", passphrase=False, passphrase_file=None)) as running:
        yield running
