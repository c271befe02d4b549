"""The client's configuration, ``client.yaml``."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from clawchat.nat.stun import complaint
from clawchat.net.config import Loaded, load
from clawchat.net.config_schema import between, each, one_of, option, section
from clawchat.services.chat import DEFAULT_ROOM
from clawchat.services.chat_fields import MAX_NAME_BYTES, is_name
from clawchat.values.errors import ConfigError
from clawchat.values.limits import HANDSHAKE_TIMEOUT
from clawchat.values.limits_rotation import KEY_ROTATION, PORT_ROTATION

HEADING = """\
Configuration of the ClawChat client. Every key stands here with its default.
A flag goes before CLAWCHAT_SECTION_KEY in the environment, that before this file, this before the default.
`clawchat config check` names the file, line and column of a mistake."""

LONGEST_TIMEOUT = 3600.0


class Way(Enum):
    """What ``--path`` may be."""

    AUTO = "auto"
    """All ways at once; a relay is left for a direct path as soon as there is one."""

    DIRECT = "direct"
    """A relay may help to find a direct path, and carries nothing else."""

    RELAY = "relay"
    """Relays only: the server never learns our address."""


def check_name(value: str | None) -> str | None:
    """Complain about what can't name a person or a room."""
    if value is None or is_name(value):
        return None
    return f"{value!r} can't be a name: use 1 to {MAX_NAME_BYTES} bytes without spaces"


@dataclass(frozen=True, slots=True)
class Client:
    """Who you are in the chat, and where your key is."""

    name: str | None = option("your name in the chat; null takes your login name", default=None, check=check_name)
    room: str = option("the room to talk in", default=DEFAULT_ROOM, check=check_name)
    key_file: pathlib.Path | None = option(
        "the key file that opens security files; null looks beside the security file and in this directory",
        default=None,
    )


@dataclass(frozen=True, slots=True)
class Networking:
    """How the server is reached."""

    hole_punch_timeout: float = option(
        "give up after this many seconds without an answer",
        default=HANDSHAKE_TIMEOUT,
        check=between(1, LONGEST_TIMEOUT),
    )
    path: str = option(
        "auto; direct, where a relay only helps to find a direct path; or relay, where the server never sees you",
        default=Way.AUTO.value,
        check=one_of(*(way.value for way in Way)),
    )
    websocket: bool = option("reach a relay by WebSocket, over TCP, where UDP brings no answer", default=True)
    stun_servers: tuple[str, ...] = option(
        "servers that `netcheck`, `offer` and `--drop` ask, HOST or HOST:PORT each; none are asked unless named here",
        default=(),
        check=each(complaint),
    )
    port_mapping: bool = option("let `clawchat netcheck` try to map a port at the router", default=True)


@dataclass(frozen=True, slots=True)
class Encryption:
    """How often keys and ports change."""

    key_rotation_interval: float = option(
        "seconds between new session keys; the server may ask for them sooner",
        default=KEY_ROTATION,
        check=between(1, 3600),
    )
    port_rotation_interval: float = option(
        "seconds between new UDP ports, more or less; 0 keeps the port",
        default=PORT_ROTATION,
        check=between(0, 7 * 24 * 3600),
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All of ``client.yaml``."""

    client: Client = section(Client)
    encryption: Encryption = section(Encryption)
    networking: Networking = section(Networking)


def load_settings(
    file: pathlib.Path, *, required: bool = False, flags: Mapping[str, object] | None = None
) -> Loaded[Settings]:
    """Read the configuration; a file that was asked for by name (``required``) must be there. Raises ConfigError."""
    if required and not file.exists():
        raise ConfigError(
            "there is no such file", "Check the path; `clawchat paths` prints the usual one.", file=str(file)
        )
    return load(Settings, file, flags=flags)
