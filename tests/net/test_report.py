from __future__ import annotations

import errno
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clawchat.nat.reasons import REASONS, Reason
from clawchat.net.report import action, exit_code, explain, one_line, personal, report
from clawchat.values.catalog import CATALOG
from clawchat.values.errors import (
    ConfigError,
    HandshakeFailed,
    PeerClosed,
    PersonalError,
    SecurityFileError,
    TimedOut,
    UsageError,
)


def told(error: BaseException) -> str:
    stream = io.StringIO()
    report(error, stream=stream)
    return stream.getvalue()


def test_an_error_is_code_cause_and_next_action() -> None:
    lines = told(SecurityFileError("CC-FILE-MODE", "home.sec has mode 0644", "chmod 600 home.sec")).splitlines()
    assert lines == [
        "clawchat: CC-FILE-MODE: home.sec has mode 0644",
        "  next: chmod 600 home.sec",
        "  more: clawchat explain CC-FILE-MODE",
    ]


def test_an_action_of_nobody_is_the_catalogs() -> None:
    error = PersonalError("CC-DISK-FULL", "no space")
    assert action(error) == CATALOG["CC-DISK-FULL"].action
    assert CATALOG["CC-DISK-FULL"].action in told(error)


def test_long_lines_are_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    command = "chmod 600 " + "/a/long/directory" * 20
    assert f"  next: {command}\n" in told(PersonalError("CC-FILE-MODE", "open to others", command))


def test_brackets_and_escape_sequences_of_a_cause_are_only_text() -> None:
    text = told(PeerClosed(3, "[bold]bye[/bold] \x1b[2J\r\nclawchat: all is well"))
    assert "[bold]bye[/bold]" in text
    assert "\x1b" not in text
    assert len(text.splitlines()) == 3


@given(st.text())
def test_one_line_is_one_printable_line(text: str) -> None:
    assert one_line(text).isprintable()


@pytest.mark.parametrize(
    ("error", "code", "number"),
    [
        (ConfigError("unknown key", file="client.yaml", line=3, column=1), "CC-CONFIG", 3),
        (HandshakeFailed(), "CC-SERVER-SILENT", 4),
        (TimedOut(), "CC-PEER-LOST", 5),
        (UsageError("no"), "CC-USAGE", 2),
        (KeyboardInterrupt(), "CC-INTERRUPTED", 130),
        (OSError(errno.ENOSPC, "No space left on device"), "CC-DISK-FULL", 1),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "CC-READ-ONLY", 3),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), "CC-NETWORK", 1),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "CC-READ-ONLY", 3),
        (ZeroDivisionError("division by zero"), "CC-UNEXPECTED", 1),
    ],
)
def test_every_error_has_a_code_and_an_exit_code(error: BaseException, code: str, number: int) -> None:
    assert personal(error).code == code
    assert exit_code(error) == number
    assert report(error, stream=io.StringIO()) == number


def test_only_who_asks_for_it_sees_where_a_bug_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug() -> str:
        try:
            _ = 1 // 0
        except ZeroDivisionError as error:
            return told(error)
        return ""

    assert "Traceback" not in bug()
    assert "CLAWCHAT_DEBUG=1" in bug()
    monkeypatch.setenv("CLAWCHAT_DEBUG", "1")
    assert "Traceback" in bug()
    assert "test_report.py" in bug()


def test_an_interruption_needs_no_advice() -> None:
    assert told(KeyboardInterrupt()) == "clawchat: CC-INTERRUPTED: the program was interrupted\n"


def test_an_unknown_code_is_reported_as_it_is() -> None:
    assert exit_code(PersonalError("CC-NEW", "a code of a later version")) == 1


@pytest.mark.parametrize("code", CATALOG)
def test_every_code_has_a_long_form(code: str) -> None:
    text = explain(code)
    assert text.startswith(f"{code}: ")
    assert CATALOG[code].long in text


@pytest.mark.parametrize("spelling", ["CC-FILE-MODE", "file-mode", " cc_file_mode "])
def test_a_code_is_found_in_any_spelling(spelling: str) -> None:
    assert explain(spelling).startswith("CC-FILE-MODE: ")


def test_a_code_that_is_not_there_says_where_the_list_is() -> None:
    with pytest.raises(PersonalError) as caught:
        explain("CC-NONSENSE")
    assert "clawchat explain" in caught.value.action


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_for_a_path_is_explained(reason: Reason) -> None:
    text = explain(reason.upper().replace("-", "_"))
    if f"CC-{reason.upper()}" not in CATALOG:  # an error of that name says more
        assert text.startswith(f"{reason}: ")
        assert REASONS[reason].cause in text
    assert "\nNext:  " in text
