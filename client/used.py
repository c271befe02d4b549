"""Remember which security files were used, since the server never answers on one again."""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
import time
from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.net.files import private_directory, write_private
from clawchat.values.errors import SecurityFileError

DIRECTORY: Final = "used"

KEPT_SECONDS: Final = 30 * 86400
"""Longer than any security file lives; after that, the file's own end of validity says it."""

_PURPOSE: Final = b"clawchat used security file"


class UsedFiles:
    """A directory with one empty note for each file; a note names the file to nobody who has not got it."""

    def __init__(self, state: pathlib.Path) -> None:
        self._directory = state / DIRECTORY

    def check(self, credential: Credential) -> None:
        """Raise SecurityFileError (CC-FILE-USED) for a file this machine has connected with."""
        try:
            used_at = self._note(credential).stat().st_mtime
        except OSError:
            return
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(used_at))
        raise SecurityFileError(
            "CC-FILE-USED",
            f"this machine connected to {credential.name} with this file on {when}, and a file serves once",
            "Ask the operator for a new file: `clawchat-server invite`.",
        )

    def remember(self, credential: Credential) -> None:
        """Note that the server has burnt this file; forget notes that no file can need any more."""
        private_directory(self._directory)
        write_private(self._note(credential), b"")
        oldest = time.time() - KEPT_SECONDS
        for note in self._directory.iterdir():
            with contextlib.suppress(OSError):
                if note.stat().st_mtime < oldest:
                    note.unlink()

    def _note(self, credential: Credential) -> pathlib.Path:
        return self._directory / hashlib.sha256(_PURPOSE + credential.slot_id).hexdigest()[:32]
