"""Tell a person about an error: its code, its cause and what to do next, and the exit code for the shell."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import traceback
from typing import TextIO

from rich.console import Console
from rich.text import Text

from clawchat.nat.reasons import REASONS, Reason
from clawchat.values.catalog import CATALOG, Entry, ExitCode
from clawchat.values.errors import PersonalError, SessionClosed, UsageError

UNEXPECTED = "CC-UNEXPECTED"
NOTHING_TO_DO = "Nothing need be done."
# With this set, an error that is a bug is told with where it happened.
DEBUG_VARIABLE = "CLAWCHAT_DEBUG"
_NETWORK_ERRORS = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})


def personal(error: BaseException) -> PersonalError:  # noqa: PLR0911 - a table, one row a kind
    """Make any error one that a person can read; what we did not foresee becomes ``CC-UNEXPECTED``."""
    match error:
        case PersonalError():
            return error
        case SessionClosed():
            return PersonalError(error.code, str(error) or _entry(error.code).cause)
        case KeyboardInterrupt() | asyncio.CancelledError():
            return PersonalError("CC-INTERRUPTED", "the program was interrupted")
        case UsageError():
            return PersonalError("CC-USAGE", str(error))
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return PersonalError("CC-DISK-FULL", _system_words(error))
        case OSError(errno=errno.EROFS):
            return PersonalError("CC-READ-ONLY", _system_words(error))
        case OSError(errno=number) if number in _NETWORK_ERRORS:
            return PersonalError("CC-NETWORK", _system_words(error))
        case OSError(filename=str()):
            return PersonalError("CC-READ-ONLY", _system_words(error), "Check the path and its rights.")
        case _:
            return PersonalError(UNEXPECTED, f"{type(error).__name__}: {error}")


def exit_code(error: BaseException) -> int:
    """Give the exit code of an error."""
    return int(_entry(personal(error).code).exit_code)


def action(error: PersonalError) -> str:
    """Give the next action of an error: its own, or else the catalog's."""
    return error.action or _entry(error.code).action


def report(error: BaseException, *, program: str = "clawchat", stream: TextIO | None = None) -> int:
    """Print an error for a person and return its exit code.

    Three lines: code and cause, the next action, and where the long form is. They are not wrapped, so that
    a command in them can be copied. Colours only on a terminal, and not with ``NO_COLOR``.
    """
    told = personal(error)
    console = Console(file=stream or sys.stderr, highlight=False)
    first = Text.assemble((f"{program}: ", "dim"), (told.code, "bold red"), ": ", one_line(told.cause))
    console.print(first, soft_wrap=True)
    if told.code != "CC-INTERRUPTED":
        console.print(Text.assemble(("  next: ", "bold"), action(told)), soft_wrap=True)
        console.print(Text(f"  more: {program} explain {told.code}", "dim"), soft_wrap=True)
    if told.code == UNEXPECTED and os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error, file=console.file)
    return exit_code(told)


def explain(code: str) -> str:
    """Write the long form of a code, as plain text; raises PersonalError for a code that does not exist."""
    entry = CATALOG.get(normal_code(code))
    if entry is None:
        return explain_reason(code)
    return (
        f"{normal_code(code)}: {entry.title}\n\n"
        f"Cause: {entry.cause}\n"
        f"Next:  {entry.action}\n"
        f"Exit:  {int(entry.exit_code)} ({entry.exit_code.name.lower().replace('_', ' ')})\n\n"
        f"{entry.long}\n"
    )


def explain_reason(code: str) -> str:
    """Write why a session uses the path it does; raises PersonalError for what is neither a reason nor an error."""
    try:
        reason = Reason(code.strip().lower().replace("_", "-"))
    except ValueError:
        cause = f"there is no error code and no reason for a path {code!r}"
        raise PersonalError("CC-USAGE", cause, "`clawchat explain` lists all of them.") from None
    meaning = REASONS[reason]
    return f"{reason}: why a path is used\n\nCause: {meaning.cause}\nNext:  {meaning.action or NOTHING_TO_DO}\n"


def normal_code(code: str) -> str:
    """Spell a code as the catalog does: ``file-mode`` becomes ``CC-FILE-MODE``."""
    upper = code.strip().upper().replace("_", "-")
    return upper if upper.startswith("CC-") else f"CC-{upper}"


def one_line(text: str) -> str:
    """Keep a text from moving the terminal's cursor: control characters become spaces or are left out."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)


def _entry(code: str) -> Entry:
    return CATALOG.get(code) or CATALOG[UNEXPECTED]


def _system_words(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


__all__ = ["ExitCode", "action", "exit_code", "explain", "normal_code", "one_line", "personal", "report"]
