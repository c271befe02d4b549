"""Open a security file: find its key, check that it can still serve."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from clawchat.crypto.bootstrap import HKDF, KEY_FILE_BYTES, Bootstrap, KeyFile
from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import MAX_FILE_BYTES, check_fresh, open_file
from clawchat.net.files import load_bootstrap, read_private
from clawchat.net.paths import BOOTSTRAP_KEY_NAME, Places
from clawchat.values.errors import SecurityFileError
from client.returns import KnownServers, Notes
from client.used import UsedFiles

TRIES: Final = 3
"""How often a person may mistype a passphrase."""

TOKEN_BYTES: Final = 16
"""What names this client to a chat, so that it is the same member when it comes back."""

WRONG_KEY: Final = "CC-PASSPHRASE"


class Opened(NamedTuple):
    """A credential, what opened its file, what to note when the next one is kept, whether it is one, and its file."""

    credential: Credential
    bootstrap: Bootstrap
    notes: Notes
    back: bool = False
    file: pathlib.Path | None = None


@dataclass(frozen=True, slots=True)
class Opener:
    """How to open security files: which keys were given, whom to ask, and which checks to leave out."""

    places: Places
    key_file: pathlib.Path | None = None
    passphrase_file: pathlib.Path | None = None
    prompt: Callable[[str], str] | None = None  # asks a person; None when there is nobody to ask
    ignore_clock: bool = False
    ignore_used: bool = False

    def open(self, what: str, *, now_unix: float) -> Opened:
        """Open a security file, or by a server's name the one that its server handed over.

        Raises SecurityFileError whose action is the next step.
        """
        file, notes = self._find(what)
        data = read_private(file, MAX_FILE_BYTES)
        _check_form(data)
        opened = self._unseal(file, data, notes)._replace(back=str(file) != what, file=file)
        if not self.ignore_used and not opened.back:  # what brings back is good until the next is here
            UsedFiles(self.places.state).check(opened.credential)
        expired = None if self.ignore_clock else check_fresh(opened.credential, now_unix)
        if expired is not None:
            raise expired
        return opened

    def _find(self, what: str) -> tuple[pathlib.Path, Notes]:
        """Tell a file from a server's name; return the file and what is known of its server."""
        file, known = pathlib.Path(what), KnownServers(self.places.state)
        if os.path.lexists(file) or what not in (names := known.names()):
            if not os.path.lexists(file) and names:
                raise SecurityFileError(
                    "CC-FILE-MISSING",
                    f"there is no file {what}, and no server of that name is known",
                    f"Check the path, or use the name of a server: {', '.join(names)}.",
                )
            return file, Notes(token=secrets.token_hex(TOKEN_BYTES))
        return known.file(what), known.notes(what)

    def _unseal(self, file: pathlib.Path, data: bytes, notes: Notes) -> Opened:
        if self.key_file or self.passphrase_file:
            bootstrap = load_bootstrap(self.key_file, self.passphrase_file)
            return Opened(open_file(data, bootstrap), bootstrap, Notes(self.key_file, notes.token))
        places = self._key_places(file, notes.key_place)
        refused: SecurityFileError | None = None
        for bootstrap, place in self._keys_to_try(file, data, places):
            try:
                return Opened(open_file(data, bootstrap), bootstrap, Notes(place, notes.token))
            except SecurityFileError as error:
                if error.code != WRONG_KEY:
                    raise
                refused = error
        raise refused or SecurityFileError(
            "CC-BOOTSTRAP-MISSING",
            f"{file} was sealed with a key file, and there is none at {' or '.join(map(str, places))}",
            "Copy the server's bootstrap key there, or give `--key-file PATH`.",
        )

    def _keys_to_try(
        self, file: pathlib.Path, data: bytes, places: list[pathlib.Path]
    ) -> Iterator[tuple[Bootstrap, pathlib.Path | None]]:
        if _sealed_with_key_file(data):
            yield from ((load_bootstrap(place), place) for place in places if place.exists())
            return
        if self.prompt is None:
            load_bootstrap()  # raises what to do without a person
            return
        ask = self.prompt
        for attempt in range(TRIES):
            question = f"Passphrase of {file.name}" if attempt == 0 else "That isn't it. Passphrase"
            yield load_bootstrap(prompt=functools.partial(ask, question)), None

    def _key_places(self, file: pathlib.Path, known: pathlib.Path | None) -> list[pathlib.Path]:
        """List where the key may lie: where it was before, beside the file, and in the configuration."""
        beside = [file.with_suffix(".key"), file.with_name(BOOTSTRAP_KEY_NAME)]
        first = [known] if known else beside
        return list(dict.fromkeys([*first, self.places.bootstrap_key]))


def _check_form(data: bytes) -> None:
    """Raise SecurityFileError for what is no security file, before anybody is asked for its passphrase."""
    try:
        open_file(data, KeyFile(bytes(KEY_FILE_BYTES)))
    except SecurityFileError as error:
        if error.code != WRONG_KEY:
            raise


def _sealed_with_key_file(data: bytes) -> bool:
    """Look which kind of key a file in good form asks for."""
    return bool(json.loads(data)["header"]["kdf"] == HKDF.name)
