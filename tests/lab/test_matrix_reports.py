"""How the matrix is told: a grid, a page, XML, Markdown, and what is different between two documents."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from click.testing import CliRunner, Result

from lab import cli
from lab.commands.shared import EXIT_CHANGED
from lab.matrix.expected import Verdict
from lab.matrix.report.junit import junit
from lab.matrix.report.markdown import markdown
from lab.matrix.report.page import page
from lab.matrix.report.text import grid
from lab.matrix.result import CellResult, Matrix, Moment, Proof, Run
from lab.report import console

DIRECT = Run(
    Verdict.DIRECT,
    "punched",
    opened_after=0.1,
    first_byte_after=0.2,
    direct_after=0.3,
    strategy="punched",
    packets=(40, 30),
    proof=Proof(3, 3),
    timeline=(Moment(0.1, "session up over <the relay>"), Moment(0.4, "now over 203.0.113.1:9")),
)
MATRIX = Matrix(
    "netns",
    (
        CellResult("open", "open", (DIRECT,)),
        CellResult("open", "symmetric-random", (Run(Verdict.RELAY, "no-answer"),)),
        CellResult("symmetric-random", "symmetric-random", (Run(Verdict.RELAY, "both-symmetric"),)),
        CellResult("symmetric-random", "udp-blocked", (Run(Verdict.FAIL, "CC-UNEXPECTED", broken=True),)),
    ),
    12.5,
)


class Page(HTMLParser):
    """What a page links to, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.add(tag)
        if tag == "a":
            self.links.append(str(found["href"]))
        elif "src" in found or "href" in found:
            self.fetched.append(tag)
        if "id" in found:
            self.ids.append(str(found["id"]))


def test_a_page_needs_nothing_from_outside() -> None:
    text = page(MATRIX)
    found = Page(text)
    assert "script" not in found.tags
    assert found.fetched == []
    assert "url(" not in text
    assert "//" not in re.sub(r"<code>.*?</code>", "", text)


def test_every_square_of_a_page_opens_the_details_of_its_cell() -> None:
    text = page(MATRIX)
    found = Page(text)
    assert found.links == [f"#{one}" for one in found.ids]
    assert len(found.links) == 4
    assert "3 of 3 pings answered while the relays were cut off" in text
    assert "session up over &lt;the relay&gt;" in text
    assert "40 by the client's end, 30 by the server's" in text
    assert "--pair symmetric-random,udp-blocked" in text


def test_a_page_tells_verdicts_apart_by_letters() -> None:
    squares = re.findall(r'<a href="#[^"]+" class="([^"]+)" title="[^"]+">(!?[DRF])', page(MATRIX))
    assert squares == [("d2", "D"), ("r u", "!R"), ("r", "R"), ("f u", "!F")]


def suite(text: str) -> Element:
    found = fromstring(text).find("testsuite")  # noqa: S314 - we have just written it
    assert found is not None
    return found


def test_junit_counts_what_is_unexpected() -> None:
    found = suite(junit(MATRIX))
    assert {key: found.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "4",
        "failures": "1",
        "errors": "1",
    }
    failure = found.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "relay, not direct: no-answer"
    assert "--pair open,symmetric-random" in str(failure.text)


def test_markdown_has_the_grid_and_what_to_repeat() -> None:
    lines = markdown(MATRIX).splitlines()
    assert "| open | D 0.3 | **R** | – |" in lines
    assert any(line.startswith("- open × symmetric-random: relay, not direct (no-answer)") for line in lines)


def test_a_grid_shows_what_is_unexpected() -> None:
    screen = console()
    with screen.capture() as seen:
        screen.print(grid(MATRIX.cells))
    assert "relay, not direct" in seen.get()
    assert "broken" in seen.get()


def document(*cells: CellResult, backend: str = "sim") -> dict[str, Any]:
    return Matrix(backend, cells).as_json()


def diff(tmp_path: Path, old: object, new: object, *more: str) -> Result:
    for name, each in (("old", old), ("new", new)):
        (tmp_path / name).write_text(json.dumps(each))
    return CliRunner().invoke(cli.main, ["diff", str(tmp_path / "old"), str(tmp_path / "new"), *more])


SAME = CellResult("open", "open", (DIRECT,))


def test_two_equal_documents_differ_in_nothing(tmp_path: Path) -> None:
    done = diff(tmp_path, document(SAME), document(SAME, backend="netns"))
    assert done.exit_code == 0
    assert "0 of 1 cells came out otherwise" in done.stdout


def test_a_verdict_that_changed_is_told_and_ends_with_its_own_code(tmp_path: Path) -> None:
    worse = CellResult("open", "open", (Run(Verdict.RELAY, "no-answer"),))
    done = diff(tmp_path, document(SAME), document(worse, CellResult("open", "cgnat", (DIRECT,))))
    assert done.exit_code == EXIT_CHANGED
    assert "open x open: direct -> relay, not direct" in done.stdout
    assert "open x cgnat: missing -> direct" in done.stdout


def test_a_cell_that_takes_longer_is_told_and_changes_nothing(tmp_path: Path) -> None:
    late = CellResult("open", "open", (Run(Verdict.DIRECT, "punched", direct_after=1.0),))
    done = diff(tmp_path, document(SAME), document(late), "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["slower"] == [
        {"client": "open", "server": "open", "old": "0.30 s", "new": "1.00 s"},
    ]
    assert json.loads(diff(tmp_path, document(SAME), document(late, backend="netns"), "--json").stdout)["slower"] == []


@pytest.mark.parametrize("wrong", [{}, [], {"report": "matrix", "schema": 1, "cells": []}])
def test_another_document_is_refused(tmp_path: Path, wrong: object) -> None:
    done = diff(tmp_path, wrong, document(SAME))
    assert done.exit_code != 0
    assert "document" in str(done.exception)
