"""A cable for each test, and a place for the figures it saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.netns.figures import summarise
from tests.netns.ground import IPV4, Family, Ground, laid

HERE = Path(__file__).parent


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    summarise(terminalreporter, HERE)


@pytest.fixture
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """Return two joined namespaces; IPv4, or what the test's parameter says."""
    family: Family = getattr(request, "param", IPV4)
    with laid(family, tmp_path) as ground:
        yield ground


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return what notes a figure for the end of the run."""
    return lambda text: record_property("figure", text)
