"""Where a server keeps its files, and the lock that keeps a second server out of them.

server.yaml                 the configuration
security/                   0700
    bootstrap.key           0600: opens the security files; carried to people on another way than those
    NAME.sec                0600: one for each invitation that nobody has used yet
    clients.sealed          0600: what lets clients come back, sealed under the bootstrap key
    chat.sealed             0600: what was said and not delivered yet, sealed likewise
    burnt.sealed            0600: only after COMPROMISED with a passphrase: what that passphrase opens, which is nothing
    control.sock            0600: how the other commands reach the running server
    server.lock             held by the running server
"""

from __future__ import annotations

import os
import pathlib
import sys
from dataclasses import dataclass
from typing import IO, Any

from clawchat.net import files
from clawchat.net.config import Loaded, load
from clawchat.net.paths import BOOTSTRAP_KEY_NAME, places
from clawchat.values.errors import ConfigError, PersonalError
from server.settings import Settings

CONFIGURATION_NAME = "server.yaml"
SECURITY_NAME = "security"


@dataclass(frozen=True, slots=True)
class Home:
    """The files of one server."""

    configuration: pathlib.Path
    security: pathlib.Path

    @property
    def bootstrap_key(self) -> pathlib.Path:
        """Name the key file."""
        return self.security / BOOTSTRAP_KEY_NAME

    @property
    def control(self) -> pathlib.Path:
        """Name the control socket."""
        return self.security / "control.sock"

    @property
    def clients(self) -> pathlib.Path:
        """Name the sealed file of the credentials that bring clients back."""
        return self.security / "clients.sealed"

    @property
    def chat(self) -> pathlib.Path:
        """Name the sealed journal of what the chat has to remember."""
        return self.security / "chat.sealed"

    @property
    def burnt(self) -> pathlib.Path:
        """Name what is sealed with a passphrase that was declared compromised, to know it again."""
        return self.security / "burnt.sealed"

    def security_file(self, name: str) -> pathlib.Path:
        """Name the security file of an invitation."""
        return self.security / f"{name}.sec"


def configuration_file(directory: pathlib.Path | None, config: pathlib.Path | None) -> pathlib.Path:
    """Choose the configuration file: the one named, the one in the directory named, or the platform's.

    Raises PersonalError (CC-USAGE) when both are named.
    """
    if directory is not None and config is not None:
        raise PersonalError("CC-USAGE", "both --directory and --config were given", "Give one of them.")
    if config is not None:
        return config.absolute()
    if directory is not None:
        return directory.absolute() / CONFIGURATION_NAME
    return places("server").configuration_file


def usual_security(directory: pathlib.Path | None) -> pathlib.Path:
    """Choose the security directory that a configuration without one means."""
    return places("server").security if directory is None else directory.absolute() / SECURITY_NAME


def open_home(
    directory: pathlib.Path | None, config: pathlib.Path | None, flags: dict[str, object] | None = None
) -> tuple[Home, Loaded[Settings]]:
    """Read the configuration and find the files it leads to. Raises ConfigError and PersonalError.

    A configuration that was named has to exist; without any, everything has its default.
    """
    file = configuration_file(directory, config)
    if config is not None and not file.exists():
        raise ConfigError("there is no such file", "Make it with `clawchat-server init`.", file=str(file))
    loaded = load(Settings, file, flags=flags)
    security = loaded.value.security.directory or usual_security(directory)
    return Home(file, security), loaded


class DirectoryLock:
    """Hold a security directory for one server; the system lets go of it when the process ends."""

    def __init__(self, home: Home) -> None:
        self._path = home.security / "server.lock"
        self._file: IO[Any] | None = None

    def take(self) -> None:
        """Take the lock. Raises PersonalError (CC-ALREADY-RUNNING) when another process has it."""
        files.private_directory(self._path.parent)
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), files.PRIVATE_FILE)
        self._file = open(descriptor, "r+b", buffering=0)  # noqa: SIM115, PTH123 - held as long as the process
        try:
            _lock(self._file.fileno())
        except OSError as error:
            self._file.close()
            self._file = None
            cause = f"a server with the security directory {self._path.parent} is running"
            raise PersonalError("CC-ALREADY-RUNNING", cause) from error

    def release(self) -> None:
        """Let go of the lock."""
        if self._file is not None:
            self._file.close()
            self._file = None


if sys.platform == "win32":

    def _lock(descriptor: int) -> None:
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:

    def _lock(descriptor: int) -> None:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
