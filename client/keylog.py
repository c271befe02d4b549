"""Write the key log: everything that is needed to read the recorded traffic of one session."""

from __future__ import annotations

import os
import pathlib
import stat
from types import TracebackType
from typing import Self

from clawchat.values.errors import SecurityFileError

WARNING = (
    "WARNING: --keylog writes the keys of this session to {file}. Whoever reads that file can read all that is "
    "said here, and join in your place. Use it for tests only, and remove it."
)
PRIVATE_MODE = 0o600
# Windows has no such flags; there the file is protected by the rights of its directory.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class KeyLog:
    """Append lines to a file that only its owner can read. Raises SecurityFileError for any other file."""

    def __init__(self, file: pathlib.Path) -> None:
        self.file = file
        try:
            self._descriptor = os.open(file, _FLAGS, PRIVATE_MODE)
        except OSError as error:
            raise SecurityFileError(
                "CC-READ-ONLY", f"the key log {file} can't be written: {error.strerror}", "Choose another place for it."
            ) from error
        found = os.fstat(self._descriptor)
        if not stat.S_ISREG(found.st_mode) or (os.name == "posix" and found.st_mode & 0o077):
            os.close(self._descriptor)
            raise SecurityFileError(
                "CC-FILE-MODE", f"the key log {file} is there already, and open to others", f"chmod 600 {file}"
            )

    def __call__(self, line: str) -> None:
        """Write one line at once, so that nothing is lost when the program is killed."""
        os.write(self._descriptor, line.encode() + b"\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)
