"""What is different between two documents of the matrix: two days, two backends, two versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from clawchat.values.errors import ConfigError
from lab.matrix.result import SCHEMA

SLOWER: Final = 2.0
"""A time to direct that grew by this factor is worth a word, if it grew by so many seconds as well:"""
SLOWER_BY: Final = 0.25

MISSING: Final = "missing"
"""The verdict of a cell that a document does not have."""


class Change(NamedTuple):
    """A cell that came out otherwise."""

    client: str
    server: str
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.client} x {self.server}: {self.old} -> {self.new}"


def read(file: Path) -> dict[str, Any]:
    """Return a document that `lab matrix --json` wrote. Raises ConfigError for anything else."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"is no JSON document: {error}", file=str(file)) from error
    if not isinstance(document, dict) or document.get("report") != "matrix":
        raise ConfigError(
            "is no document of the matrix", "Make one: `python -m lab matrix --json FILE`.", file=str(file)
        )
    if document.get("schema") != SCHEMA:
        raise ConfigError(f"has version {document.get('schema')} of the document, not {SCHEMA}", file=str(file))
    return document


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the cells whose verdicts differ, in the order of the documents."""
    before, after = _cells(old), _cells(new)
    pairs = dict.fromkeys([*before, *after])
    found = (Change(*pair, _told(before.get(pair)), _told(after.get(pair))) for pair in pairs)
    return tuple(change for change in found if change.old != change.new)


def slower(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """Go through the cells that took clearly longer to become direct; only times of one backend can be compared."""
    if old["backend"] != new["backend"]:
        return
    before = _cells(old)
    for pair, cell in _cells(new).items():
        was = before[pair]["direct"]["p50"] if pair in before else None
        now = cell["direct"]["p50"]
        if was is not None and now is not None and now > max(was * SLOWER, was + SLOWER_BY):
            yield Change(*pair, f"{was:.2f} s", f"{now:.2f} s")


def _cells(document: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(cell["client"], cell["server"]): cell for cell in document["cells"]}


def _told(cell: Mapping[str, Any] | None) -> str:
    return MISSING if cell is None else str(cell["met"])
