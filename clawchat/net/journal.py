"""A sealed log on disk that is written as things happen, and written anew when it has grown.

What was handed to the kernel survives the death of the program, not that of the machine: waiting for the disk
after each line of a chat would take longer than bringing it to the other end.
"""

from __future__ import annotations

import os
import pathlib
import secrets
from collections.abc import Callable, Iterable
from typing import Final

from clawchat.crypto.bootstrap import Bootstrap
from clawchat.crypto.sealed_log import Record, SealedLog, read_log
from clawchat.net.files import destroy, read_private, unwritable, write_private
from clawchat.values.errors import SecurityFileError

MAX_JOURNAL_BYTES: Final = 64 << 20
GROWTH_BYTES: Final = 1 << 20
"""A journal is written anew when it has grown by this, and to twice what it was."""


def read_journal(path: pathlib.Path, bootstrap: Bootstrap, *, form: str) -> list[Record]:
    """Return the records of a journal, none when there is no such file. Raises SecurityFileError."""
    if not path.exists():
        return []
    return read_log(read_private(path, MAX_JOURNAL_BYTES), bootstrap, form=form)


class Journal:
    """Write one journal. ``snapshot`` returns the fewest records that say everything that is so just now.

    ``note`` takes records down, ``flush`` writes them. Until ``begin`` nothing is written, nor after a failure
    until the next ``begin``, which writes everything. ``flush`` and ``begin`` raise SecurityFileError.
    """

    def __init__(self, path: pathlib.Path, *, form: str, snapshot: Callable[[], Iterable[Record]]) -> None:
        self._path = path
        self._form = form
        self._snapshot = snapshot
        self._log: SealedLog | None = None
        self._bootstrap: Bootstrap | None = None
        self._descriptor = -1
        self._size = 0
        self._begun_size = 0
        self._notes: list[Record] = []

    @property
    def open(self) -> bool:
        """Tell whether what is noted will be written."""
        return self._log is not None

    def begin(self, bootstrap: Bootstrap) -> None:
        """Write everything anew, under this bootstrap key and a log key of its own, and go on from there."""
        self.close()
        log = SealedLog(bootstrap, form=self._form, random=secrets.token_bytes)
        data = log.head + log.add(self._snapshot())
        write_private(self._path, data)
        try:
            self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise unwritable(self._path, error) from error
        self._log, self._bootstrap = log, bootstrap
        self._size = self._begun_size = len(data)
        self._notes.clear()

    def note(self, record: Record) -> None:
        """Take a record down; ``flush`` writes it."""
        if self._log is not None:
            self._notes.append(record)

    def flush(self) -> None:
        """Write what was noted."""
        if self._log is None or self._bootstrap is None or not self._notes:
            return
        if self._size - self._begun_size > max(GROWTH_BYTES, self._begun_size):
            self.begin(self._bootstrap)
            return
        data = self._log.add(self._notes)
        self._notes.clear()
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self.close()
            raise unwritable(self._path, error) from error
        self._size += written
        if written < len(data):
            self.close()
            raise SecurityFileError("CC-DISK-FULL", f"there is no space left to write {self._path}")

    def close(self) -> None:
        """Write no more."""
        self._log = self._bootstrap = None
        self._notes.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def destroy(self) -> None:
        """Write no more, and remove the file."""
        self.close()
        destroy(self._path)
