"""Figures that tests have seen, shown at the end of a run."""

from __future__ import annotations

from pathlib import Path

import pytest


def summarise(reporter: pytest.TerminalReporter, folder: Path) -> None:
    """Print what the tests below a folder noted under ``figure``."""
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {text}"
        for report in (*reporter.getreports("passed"), *reporter.getreports("failed"))
        if (reporter.config.rootpath / report.nodeid.partition("::")[0]).is_relative_to(folder)
        for name, text in report.user_properties
        if name == "figure" and report.when == "call"
    ]
    if lines:
        reporter.section(f"figures of {folder.relative_to(reporter.config.rootpath)}")
        for line in lines:
            reporter.line(line)
