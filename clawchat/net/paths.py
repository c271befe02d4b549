"""Where the programs keep their files: configuration, state, control sockets and downloads."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from platformdirs import PlatformDirs

Program: TypeAlias = Literal["client", "server"]

APPLICATION = "clawchat"
# One variable moves everything; tests, demos and portable installations live by it.
HOME_VARIABLE = "CLAWCHAT_HOME"
# The name both programs look for: the server writes it, the person carries it to the client once.
BOOTSTRAP_KEY_NAME = "bootstrap.key"
# systemd.exec(5): set for a unit with StateDirectory=, ConfigurationDirectory=, RuntimeDirectory=; colon-separated.
SYSTEMD_CONFIGURATION = "CONFIGURATION_DIRECTORY"
SYSTEMD_STATE = "STATE_DIRECTORY"
SYSTEMD_RUNTIME = "RUNTIME_DIRECTORY"


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of one program; none of them need exist yet."""

    program: Program
    configuration: pathlib.Path  # client.yaml or server.yaml, and the bootstrap key
    state: pathlib.Path  # what the program remembers; 0700
    runtime: pathlib.Path  # control sockets; 0700
    downloads: pathlib.Path  # files a person received

    @property
    def configuration_file(self) -> pathlib.Path:
        """Name the program's configuration file."""
        return self.configuration / f"{self.program}.yaml"

    @property
    def bootstrap_key(self) -> pathlib.Path:
        """Name the key file that opens security files."""
        return self.configuration / BOOTSTRAP_KEY_NAME

    @property
    def security(self) -> pathlib.Path:
        """Name the directory the server writes its security files to; 0700."""
        return self.state / "security"

    def rows(self) -> tuple[tuple[str, pathlib.Path], ...]:
        """List what a person may want to find, as pairs of a word and a place."""
        common = (
            ("configuration", self.configuration_file),
            ("bootstrap key", self.bootstrap_key),
            ("state", self.state),
            ("control sockets", self.runtime),
        )
        own = ("security files", self.security) if self.program == "server" else ("downloads", self.downloads)
        return (*common, own)


def places(program: Program, environ: Mapping[str, str] | None = None) -> Places:
    """Find the directories of a program.

    ``CLAWCHAT_HOME`` puts all of them below one directory. Else a server started by systemd uses what its unit
    was given, and everything else is where the platform keeps such things (XDG, Library, AppData).
    """
    environ = os.environ if environ is None else environ
    if home := environ.get(HOME_VARIABLE):
        base = pathlib.Path(home).expanduser().absolute()
        return Places(program, base / "config", base / "state" / program, base / "run", base / "downloads")
    usual = PlatformDirs(APPLICATION, appauthor=False)
    configuration = pathlib.Path(usual.user_config_dir)
    state = pathlib.Path(usual.user_state_dir) / program
    # Without a login session the platform would offer a guessable name below /tmp; our own state directory is safer.
    runtime = pathlib.Path(usual.user_runtime_dir) if environ.get("XDG_RUNTIME_DIR") else state.parent / "run"
    if program == "server":
        configuration = _given(environ, SYSTEMD_CONFIGURATION, configuration)
        state = _given(environ, SYSTEMD_STATE, state)
        runtime = _given(environ, SYSTEMD_RUNTIME, runtime)
    return Places(program, configuration, state, runtime, pathlib.Path(usual.user_downloads_dir) / "ClawChat")


def _given(environ: Mapping[str, str], variable: str, usual: pathlib.Path) -> pathlib.Path:
    first = environ.get(variable, "").partition(":")[0]
    return pathlib.Path(first) if first else usual
