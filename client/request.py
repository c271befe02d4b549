"""What the shared options of a command mean together: the file, its key, who we are, how long to try."""

from __future__ import annotations

import dataclasses
import getpass
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import click

from clawchat.net.carrying import CARRY_TIMEOUT, DropPost, Post
from clawchat.net.config import Loaded
from clawchat.net.drop import DirectoryDrop
from clawchat.net.hardening import keep_memory_private
from clawchat.net.paths import Places, places
from clawchat.services.chat_fields import clean_name
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from clawchat.values.limits import MEETING_LIFE
from client.keylog import WARNING as KEYLOG_WARNING
from client.opening import Opener
from client.plan import Plan
from client.returns import KnownServers
from client.settings import Settings, Way, load_settings

TERMINAL: Final = "/dev/tty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the shared options were set to."""

    what: str | None
    file: pathlib.Path | None
    key_file: pathlib.Path | None
    passphrase_file: pathlib.Path | None
    path: str | None
    timeout: float | None
    ip: str | None
    port: int | None
    keylog: pathlib.Path | None
    ignore_clock: bool
    ignore_used: bool
    forget: bool
    config: pathlib.Path | None
    drop: pathlib.Path | None = None

    def plan(self, *, name: str | None = None, room: str | None = None, post: Post | None = None) -> Plan:
        """Open the security file and make the plan; a post goes before the drop folder. Raises PersonalError."""
        keep_memory_private()
        found = places("client")
        settings = self.settings({"client.name": name, "client.room": room, "client.key_file": self.key_file})
        if self.passphrase_file is not None and self.key_file is None:
            settings = dataclasses.replace(settings, client=dataclasses.replace(settings.client, key_file=None))
        opener = Opener(
            found,
            settings.client.key_file,
            self.passphrase_file,
            terminal_prompt(),
            ignore_clock=self.ignore_clock,
            ignore_used=self.ignore_used,
        )
        opened = opener.open(self._what(), now_unix=time.time())
        if self.keylog is not None:
            click.secho(KEYLOG_WARNING.format(file=self.keylog), err=True, bold=True, fg="red", color=colour())
        way = Way(settings.networking.path)
        if way is Way.RELAY and (post is not None or self.drop is not None):
            cause = "files carry a handshake to find a direct path, which `--path relay` rules out"
            raise PersonalError("CC-USAGE", cause, "Leave out `--path relay`.")
        if post is None and self.drop is not None:
            post = DropPost(DirectoryDrop(self.drop), opened.credential.mailbox())
        return Plan(
            opened=opened,
            places=found,
            name=settings.client.name or clean_name(login_name()),
            room=settings.client.room,
            timeout=settings.networking.hole_punch_timeout,
            local=self._local(),
            keylog=self.keylog,
            forget=self.forget,
            way=way,
            websocket=settings.networking.websocket,
            post=post,
            post_timeout=self.timeout or (CARRY_TIMEOUT if self.drop is not None else MEETING_LIFE),
            key_rotation=settings.encryption.key_rotation_interval,
            port_rotation=0.0 if self.port else settings.encryption.port_rotation_interval,
            stun_servers=settings.networking.stun_servers,
        )

    def settings(self, flags: Mapping[str, object] | None = None) -> Settings:
        """Read the configuration; these flags and our own go before it."""
        own = {"networking.hole_punch_timeout": self.timeout, "networking.path": self.path}
        return settings_of(places("client"), self.config, {**(flags or {}), **own}).value

    def _what(self) -> str:
        if self.what and self.file:
            raise PersonalError("CC-USAGE", "the security file was given twice", "Leave out `--file`.")
        given = self.what or (str(self.file) if self.file else "")
        if given:
            return given
        known = KnownServers(places("client").state).names()
        if len(known) == 1:
            return known[0]
        raise PersonalError(
            "CC-USAGE",
            "no security file was given" + (f", and several servers are known: {', '.join(known)}" if known else ""),
            "Give the path of a security file, or the name of a server.",
        )

    def _local(self) -> Address:
        """Give our own end: the address (unspecified: let it be chosen) and the port (0: a random one)."""
        return Address.make(self.ip, self.port or 0) if self.ip else Address("", self.port or 0)


def settings_of(found: Places, config: pathlib.Path | None, flags: Mapping[str, object]) -> Loaded[Settings]:
    """Load ``client.yaml``, or the file that was asked for."""
    return load_settings(config or found.configuration_file, required=config is not None, flags=flags)


def login_name() -> str:
    """Give the login name, empty where there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""


def terminal_prompt() -> Callable[[str], str] | None:
    """Give a way to ask a person for a secret, even when standard input is a pipe; None without a terminal."""
    if os.name == "posix":
        try:
            os.close(os.open(TERMINAL, os.O_RDWR | os.O_NOCTTY))
        except OSError:
            return None
    elif not sys.stdin.isatty():
        return None

    def ask(question: str) -> str:
        try:
            return getpass.getpass(f"{question}: ")
        except EOFError:
            return ""

    return ask


def colour() -> bool | None:
    """Tell click to use no colours when ``NO_COLOR`` is set, and to decide by itself when not."""
    return False if os.environ.get("NO_COLOR") else None
