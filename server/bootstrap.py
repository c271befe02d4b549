"""The bootstrap key of a server: make it, load it, show it, replace it."""

from __future__ import annotations

import pathlib
import secrets
import sys
from collections.abc import Callable

import click

from clawchat.crypto.bootstrap import KEY_FILE_BYTES, Bootstrap, KeyFile, Passphrase
from clawchat.crypto.secfile import MAX_SLOTS_FILE_BYTES, open_slots, seal_slots
from clawchat.net import files
from clawchat.values.errors import PersonalError, SecurityFileError
from server.home import Home
from server.settings import PASSPHRASE, Settings

# Anybody who has the sealed file can try words; Argon2id makes each try cost a tenth of a second.
MIN_PASSPHRASE_CHARACTERS = 12
WRONG_KEY = "CC-PASSPHRASE"
START_AGAIN = (
    "Start the server again with a new passphrase, tell it to people on another way than the files, and give each a "
    "new file: `clawchat-server invite --name NAME`."
)


def write_key(home: Home) -> KeyFile:
    """Make a new key file in place of any other and return the key."""
    key = KeyFile(bytearray(secrets.token_bytes(KEY_FILE_BYTES)))
    files.write_private(home.bootstrap_key, key.key.hex().encode() + b"\n")
    return key


def load(home: Home, settings: Settings, passphrase_file: pathlib.Path | None) -> Bootstrap:
    """Load what security files are sealed with. Raises PersonalError with the next step."""
    if settings.security.bootstrap == PASSPHRASE:
        return _unburnt(home, files.load_bootstrap(passphrase_file=passphrase_file, prompt=_prompt()))
    if passphrase_file is not None:
        cause = "a passphrase file was given, but this server has a key file"
        raise PersonalError("CC-USAGE", cause, "Leave it out, or set `security.bootstrap: passphrase`.")
    try:
        return files.load_bootstrap(home.bootstrap_key)
    except SecurityFileError as error:
        if error.code == "CC-FILE-MISSING":
            cause = f"there is no bootstrap key at {home.bootstrap_key}"
            action = (
                "Set the server up with `clawchat-server init`, or make a key with `clawchat-server bootstrap --new`."
            )
            raise SecurityFileError("CC-BOOTSTRAP-MISSING", cause, action) from error
        raise


def _unburnt(home: Home, passphrase: Bootstrap) -> Bootstrap:
    """Return a passphrase unless it was declared compromised: whatever restarts a server would give it again."""
    if not home.burnt.exists():
        return passphrase
    try:
        open_slots(files.read_private(home.burnt, MAX_SLOTS_FILE_BYTES), passphrase)
    except SecurityFileError as error:
        if error.code == WRONG_KEY:
            return passphrase
        raise
    raise PersonalError("CC-COMPROMISED", "this passphrase was declared compromised", START_AGAIN)


def burnt_mark(passphrase: Bootstrap) -> bytes:
    """Seal nothing with a passphrase, so that it is known again should it be compromised."""
    return seal_slots([], passphrase, secrets.token_bytes)


def reseal(home: Home, old: Bootstrap, new: Bootstrap) -> None:
    """Seal the credentials of clients that may come back under another key; the server must not be running."""
    if home.clients.exists():
        slots = open_slots(files.read_private(home.clients, MAX_SLOTS_FILE_BYTES), old)
        files.write_private(home.clients, seal_slots(slots, new, secrets.token_bytes))


def remember_passphrase(home: Home, passphrase: Passphrase) -> None:
    """Leave something sealed behind, so that ``run`` notices when another passphrase is typed."""
    files.write_private(home.clients, seal_slots([], passphrase, secrets.token_bytes))


def new_passphrase(passphrase_file: pathlib.Path | None) -> Passphrase:
    """Ask for a new passphrase twice, or read it from a file. Raises PersonalError."""
    if passphrase_file is not None:
        chosen = files.load_bootstrap(passphrase_file=passphrase_file)
    else:
        ask = _prompt("New passphrase")
        chosen = files.load_bootstrap(prompt=ask)
        if ask is not None and files.load_bootstrap(prompt=_prompt("The same again")) != chosen:
            raise PersonalError("CC-USAGE", "the two passphrases differ", "Run the command again.")
    assert isinstance(chosen, Passphrase)  # noqa: S101 - neither way gives a key file
    if len(chosen.text) < MIN_PASSPHRASE_CHARACTERS:
        cause = f"the passphrase has fewer than {MIN_PASSPHRASE_CHARACTERS} characters"
        raise PersonalError("CC-USAGE", cause, "Take four or more words that have nothing to do with each other.")
    return chosen


def _prompt(question: str = "Passphrase") -> Callable[[], str] | None:
    """Return how to ask a person, None when there is none."""
    if not sys.stdin.isatty():
        return None
    return lambda: str(click.prompt(question, hide_input=True, err=True))
