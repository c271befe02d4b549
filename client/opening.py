"""Open a security file: find its key, check that it can still serve."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from clawchat.crypto.bootstrap import HKDF, KEY_FILE_BYTES, Bootstrap, KeyFile
from clawchat.crypto.credential import Credential
from clawchat.crypto.secfile import MAX_FILE_BYTES, check_fresh, open_file
from clawchat.net.files import load_bootstrap, read_private
from clawchat.net.paths import BOOTSTRAP_KEY_NAME, Places
from clawchat.values.errors import SecurityFileError
from client.used import UsedFiles

TRIES: Final = 3
"""How often a person may mistype a passphrase."""

WRONG_KEY: Final = "CC-PASSPHRASE"


@dataclass(frozen=True, slots=True)
class Opener:
    """How to open security files: which keys were given, whom to ask, and which checks to leave out."""

    places: Places
    key_file: pathlib.Path | None = None
    passphrase_file: pathlib.Path | None = None
    prompt: Callable[[str], str] | None = None  # asks a person; None when there is nobody to ask
    ignore_clock: bool = False
    ignore_used: bool = False

    def open(self, file: pathlib.Path, *, now_unix: float) -> Credential:
        """Read and open a file; raises SecurityFileError whose action is the next step."""
        data = read_private(file, MAX_FILE_BYTES)
        credential = self._unseal(file, data)
        if not self.ignore_used:
            UsedFiles(self.places.state).check(credential)
        expired = None if self.ignore_clock else check_fresh(credential, now_unix)
        if expired is not None:
            raise expired
        return credential

    def _unseal(self, file: pathlib.Path, data: bytes) -> Credential:
        _check_form(data)
        if self.key_file or self.passphrase_file:
            return open_file(data, load_bootstrap(self.key_file, self.passphrase_file))
        refused: SecurityFileError | None = None
        for bootstrap in self._keys_to_try(file, data):
            try:
                return open_file(data, bootstrap)
            except SecurityFileError as error:
                if error.code != WRONG_KEY:
                    raise
                refused = error
        looked = " or ".join(str(place) for place in self._key_files(file))
        raise refused or SecurityFileError(
            "CC-BOOTSTRAP-MISSING",
            f"{file} was sealed with a key file, and there is none at {looked}",
            "Copy the server's bootstrap key there, or give `--key-file PATH`.",
        )

    def _keys_to_try(self, file: pathlib.Path, data: bytes) -> Iterator[Bootstrap]:
        if _sealed_with_key_file(data):
            yield from (load_bootstrap(place) for place in self._key_files(file) if place.exists())
            return
        if self.prompt is None:
            load_bootstrap()  # raises what to do without a person
            return
        ask = self.prompt
        for attempt in range(TRIES):
            question = f"Passphrase of {file.name}" if attempt == 0 else "That isn't it. Passphrase"
            yield load_bootstrap(prompt=lambda: ask(question))  # noqa: B023 - called before the next turn

    def _key_files(self, file: pathlib.Path) -> list[pathlib.Path]:
        """List where the key may lie: beside the file, under its name or the usual one, and in the configuration."""
        beside = [file.with_suffix(".key"), file.with_name(BOOTSTRAP_KEY_NAME)]
        return list(dict.fromkeys([*beside, self.places.bootstrap_key]))


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
