"""A drop folder: the two messages of a handshake as files in a directory that both ends can reach.

Any directory will do: a shared disk, or a folder that some service keeps in step on both machines. It is not
trusted with anything. Its files are sealed, their names say nothing to those who have no credential, and what lies
there may be half written, old, doubled or forged: whoever reads it tries to open it, and forgets what doesn't open.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import stat
import time
from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

from clawchat.crypto.credential import PROTOCOL
from clawchat.crypto.derive import derive
from clawchat.crypto.secfile import MAX_FILE_BYTES
from clawchat.net.files import replace_file
from clawchat.values.errors import PersonalError

SUFFIX: Final = ".claw"
NAME_BYTES: Final = 16

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 5.0
WAIT_GROWTH: Final = 1.25
"""How much later a folder in which nothing happens is looked at each time."""

MAX_COPIES: Final = 8
"""How many copies of one file are looked at; services that keep folders in step make some when they disagree."""

KEPT_SECONDS: Final = 86400.0
"""Files of handshakes that are older were left behind, by whomever: no credential that names them lives so long."""

_OURS: Final = re.compile(r"[0-9a-f]{32}.*\.claw|\.[0-9a-f]{32}\.claw\.[0-9a-f]{8}\.tmp")
_READ: Final = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

SHARED: Final = 0o644
"""The mode of files that are sealed and meant for another account."""


class DropBackend(Protocol):
    """A place for small files that both ends can reach. Each call may block, and raises PersonalError (CC-DROP)."""

    def put(self, name: str, data: bytes, *, mode: int = SHARED) -> None:
        """Put a file there, all of it at once; one of that name is replaced."""

    def get(self, name: str) -> bytes:
        """Return what is in a file; nothing if there is none, or if it is too large for any of ours."""

    def list(self) -> list[str]:
        """List the names."""

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""


class Names(NamedTuple):
    """What the two files of a credential's handshake are called."""

    hello: str
    welcome: str


def names_of(mailbox: bytes) -> Names:
    """Derive the names from a credential's mailbox; without it nobody can tell that two of them belong together."""

    def name(purpose: bytes) -> str:
        return derive(PROTOCOL, mailbox, PROTOCOL + b" drop " + purpose, NAME_BYTES).hex() + SUFFIX

    return Names(name(b"hello"), name(b"welcome"))


def copies(listing: Iterable[str], name: str) -> list[str]:
    """Find a file and its conflict copies, whose names begin alike."""
    stem = name.removesuffix(SUFFIX)
    found = [each for each in listing if each.startswith(stem)]
    return sorted(found, key=lambda each: (each != name, each))[:MAX_COPIES]


class Backoff:
    """How long to wait before a folder is looked at again: longer while nothing happens there."""

    def __init__(self) -> None:
        self._next = FIRST_WAIT

    def reset(self) -> None:
        """Look again soon: something happened."""
        self._next = FIRST_WAIT

    def take(self) -> float:
        """Return the next wait in seconds."""
        wait = self._next
        self._next = min(LONGEST_WAIT, wait * WAIT_GROWTH)
        return wait


class DirectoryDrop:
    """A drop folder that is a directory here."""

    def __init__(self, directory: pathlib.Path, *, limit: int = MAX_FILE_BYTES) -> None:
        self._directory = directory
        self._limit = limit

    def put(self, name: str, data: bytes, *, mode: int = SHARED) -> None:
        """Put a file there, all of it at once; one of that name is replaced."""
        try:
            replace_file(self._path(name), data, mode)
        except OSError as error:
            raise self._refused(error) from error

    def get(self, name: str) -> bytes:
        """Return what is in a file; nothing if there is none, or if it is too large for any of ours."""
        try:
            descriptor = os.open(self._path(name), _READ)
        except OSError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return b""
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(self._limit + 1)
        except OSError:
            return b""
        finally:
            os.close(descriptor)
        return data if len(data) <= self._limit else b""

    def list(self) -> list[str]:
        """List the names."""
        try:
            return os.listdir(self._directory)  # noqa: PTH208 - names, not paths
        except OSError as error:
            raise self._refused(error) from error

    def delete(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            self._path(name).unlink(missing_ok=True)
        except OSError as error:
            raise self._refused(error) from error

    def sweep(self, *, now_unix: float | None = None) -> None:
        """Remove files of handshakes that were left behind a day ago or longer."""
        oldest = (time.time() if now_unix is None else now_unix) - KEPT_SECONDS
        for name in filter(_OURS.fullmatch, self.list()):
            with contextlib.suppress(OSError):
                if (self._directory / name).lstat().st_mtime < oldest:
                    self.delete(name)

    def _path(self, name: str) -> pathlib.Path:
        if pathlib.PurePath(name).name != name:
            raise PersonalError("CC-DROP", f"{name!r} can't name a file in a drop folder")
        return self._directory / name

    def _refused(self, error: OSError) -> PersonalError:
        return PersonalError("CC-DROP", f"the drop folder {self._directory} can't be used: {error.strerror or error}")
