from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _keep_root() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def line(form: str = "auto", stream: io.StringIO | None = None, **fields: Any) -> str:  # noqa: ANN401 - any fields
    stream = stream or io.StringIO()
    logs.set_up("info", form, stream=stream, environ={})
    logs.Log().info("something-happened", **fields)
    return stream.getvalue()


def record(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any fields
    value = json.loads(line(**fields))
    assert isinstance(value, dict)
    return value


def test_json_where_no_person_watches() -> None:
    found = record(session=3, remote="203.0.113.1:5000", share=0.12345678)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "info",
        "event": "something-happened",
        "session": 3,
        "remote": "203.0.113.1:5000",
        "share": 0.123457,
    }


def test_text_on_a_terminal() -> None:
    assert line(stream=Terminal(), session=3, why="two words", nothing=None).split(" ", 1)[1] == (
        'info    something-happened session=3 why="two words" nothing=null\n'
    )


@pytest.mark.parametrize(("form", "stream"), [("json", Terminal()), ("text", io.StringIO())])
def test_the_form_may_be_chosen(form: str, stream: io.StringIO) -> None:
    assert line(form, stream).startswith("{") == (form == "json")


@pytest.mark.parametrize("text", ["two\nlines", "carriage\rreturn", "\x1b[2Jgone", "\u2028separator"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_an_event_is_one_line_whatever_is_in_it(form: str, text: str) -> None:
    written = line(form, value=text)
    assert written.count("\n") == 1
    assert "\x1b" not in written


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": "x"},
        {"passphrase": "x"},
        {"header_key": "x"},
        {"key": "x"},
        {"psk": "x"},
        {"text": "what ann said"},
        {"words": "apple berry"},
        {"anything": b"bytes"},
        {"anything": bytearray(b"bytes")},
        {"said": "the key is " + "ab" * 32},
        {"said": "A" * 43 + "="},
        {"nested": {"secret": "x"}},
        {"nested": [b"bytes"]},
    ],
)
def test_a_secret_is_hidden(fields: dict[str, Any]) -> None:
    assert "(hidden)" in line(**fields)


@pytest.mark.parametrize(
    "value",
    ["/var/lib/clawchat/a-directory-with-a-long-name/security/default.sec", "203.0.113.1:5000", "CC-PORT-BUSY", "ann"],
)
def test_what_is_no_secret_is_shown(value: str) -> None:
    assert record(value=value)["value"] == value


def test_other_libraries_are_redacted_too() -> None:
    stream = io.StringIO()
    logs.set_up("info", "json", stream=stream, environ={})
    try:
        raise ValueError("ab" * 32)
    except ValueError:
        logging.getLogger("some.library").exception("it said %s", "cd" * 40)
    found = json.loads(stream.getvalue())
    assert (found["event"], found["from"]) == ("message", "some.library")
    assert (found["said"], found["error"]) == ("it said (hidden)", "ValueError: (hidden)")


def test_the_level_is_kept() -> None:
    stream = io.StringIO()
    logs.set_up("warning", "json", stream=stream, environ={})
    logs.Log().info("quiet")
    logs.Log().error("loud")
    assert json.loads(stream.getvalue())["event"] == "loud"


def test_journald_gets_priorities(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w+", encoding="utf-8") as stream:
        found = os.fstat(stream.fileno())
        logs.set_up("info", "auto", stream=stream, environ={"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
        logs.Log().error("loud")
        logs.Log().info("quiet")
        stream.seek(0)
        assert [text[:4] for text in stream] == ["<3>{", "<6>{"]
