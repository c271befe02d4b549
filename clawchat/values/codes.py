"""What a code of the catalog says, and what a program tells the shell when it ends with it."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """What a program tells the shell when it ends."""

    OK = 0
    OTHER = 1
    USAGE = 2
    SETUP = 3
    """A configuration or security file can't be used."""
    SERVER_SILENT = 4
    PEER_ABSENT = 5
    NO_DIRECT_PATH = 6
    VERIFICATION_FAILED = 7
    INCOMPLETE = 8
    """Some of the work is done, and running the command again resumes it."""
    REFUSED = 9
    TIMEOUT = 10
    INTERRUPTED = 130


class Entry(NamedTuple):
    """One code: a title, the usual cause, the usual next action, the exit code, and the long explanation."""

    title: str
    cause: str
    action: str
    exit_code: ExitCode
    long: str
