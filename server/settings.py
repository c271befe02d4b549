"""The keys of ``server.yaml``: their types, their defaults, and what they are for."""

from __future__ import annotations

import ipaddress
import pathlib
from collections.abc import Iterator
from dataclasses import dataclass

from clawchat.crypto.credential import check_name
from clawchat.nat.stun import complaint
from clawchat.net.config import Loaded
from clawchat.net.config_schema import Option, Section, between, each, one_of, option, section, sections_of
from clawchat.services.chat import DEFAULT_ROOM
from clawchat.services.chat_fields import MAX_ROOMS, is_name
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError, UsageError
from clawchat.values.limits import MAX_RELAYS
from clawchat.values.limits_rotation import KEY_ROTATION, PORT_ROTATION
from server.metrics.settings import Metrics

# Keys that are kept for the parts of the protocol that are not in this version; setting one is warned about.
LATER = " (this version does not use it)"

KEY_FILE = "key-file"
PASSPHRASE = "passphrase"  # noqa: S105 - the word of a choice

HEADING = """\
Configuration of the ClawChat server. Every key stands here with its default or what `init` was told.
A flag goes before CLAWCHAT_SECTION_KEY in the environment, that before this file, this before the default.
`clawchat-server config check` names the file, line and column of a mistake."""


def check_slot_name(value: str) -> str | None:
    """Complain about what can't name a server."""
    try:
        check_name(value)
    except PersonalError as error:
        return error.cause
    return None


def check_server_ip(value: str) -> str | None:
    """Complain about what is no address to listen on."""
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return f"must be an IP address, not {value!r}"
    return None


def check_public(value: str | None) -> str | None:
    """Complain about what is no address to be reached at."""
    if value is None:
        return None
    try:
        public_address(value, 0)
    except UsageError:
        return f"must be an IP address, or one with a port like 203.0.113.1:5000 or [2001:db8::1]:5000, not {value!r}"
    return None


def public_address(value: str, port: int) -> Address:
    """Read ``networking.public_address``, which takes our own port when it names none. Raises UsageError."""
    try:
        return Address.make(value.strip("[]"), port)
    except UsageError:
        return Address.parse(value)


def _room(value: str) -> str | None:
    return None if is_name(value) else f"not a room's name: {value!r} (1 to 64 bytes, printable, no spaces)"


def _relays(values: tuple[str, ...]) -> str | None:
    return f"must be at most {MAX_RELAYS} files" if len(values) > MAX_RELAYS else None


def _rooms(values: tuple[str, ...]) -> str | None:
    if not 1 <= len(values) <= MAX_ROOMS:
        return f"must be 1 to {MAX_ROOMS} rooms"
    return each(_room)(values)


@dataclass(frozen=True, slots=True)
class Server:
    """Who the server is, and where it listens."""

    id: str = option("the name that clients see", default="clawchat-server", check=check_slot_name)
    ip: str = option("the address to listen on", default="0.0.0.0", check=check_server_ip)  # noqa: S104 - reaching every peer is the purpose
    port: int | None = option(
        "the UDP port; null picks a random one in 49152-65535", default=None, check=between(1, 65535)
    )


@dataclass(frozen=True, slots=True)
class Security:
    """Who may join, and for how long."""

    directory: pathlib.Path | None = option(
        "where security files, keys and the control socket live (mode 0700); null is the platform's place for them",
        default=None,
    )
    bootstrap: str = option(
        "what security files are sealed with: key-file (bootstrap.key in the directory), or passphrase (asked for)",
        default=KEY_FILE,
        check=one_of(KEY_FILE, PASSPHRASE),
    )
    file_validity_minutes: float = option(
        "how long a security file may be used", default=11.0, check=between(0.05, 24 * 60)
    )
    auto_regenerate_minutes: float = option(
        "how often an unused security file is replaced; the old one keeps its own validity",
        default=10.0,
        check=between(0.05, 24 * 60),
    )
    resume_hours: float = option(
        "how long a client that was here can come back without a new file; 0 turns it off",
        default=24.0,
        check=between(0, 24 * 365),
    )
    always_available: bool = option(
        "make a new default.sec after a client has used it; false leaves that to `clawchat-server invite`",
        default=False,
    )


@dataclass(frozen=True, slots=True)
class Encryption:
    """How often keys and ports change."""

    key_rotation_interval: float = option(
        "seconds between new session keys; a client may change them sooner",
        default=KEY_ROTATION,
        check=between(1, 3600),
    )
    port_rotation_interval: float = option(
        "seconds between new UDP ports, more or less; 0 keeps the port, as a fixed port or public port does",
        default=PORT_ROTATION,
        check=between(0, 7 * 24 * 3600),
    )


@dataclass(frozen=True, slots=True)
class Networking:
    """How the server is reached."""

    public_address: str | None = option(
        "the address clients reach this server at, with a port if it differs; null offers this machine's own addresses",
        default=None,
        check=check_public,
    )
    relays: tuple[str, ...] = option(
        "the relay.sec of each relay that carries sealed datagrams while there is no direct path, its key beside it",
        default=(),
        check=_relays,
    )
    websocket: bool = option("join a relay by WebSocket, over TCP, where UDP brings no answer", default=True)
    stun_servers: tuple[str, ...] = option(
        "servers that tell us our public address, HOST or HOST:PORT each; none are asked unless named here",
        default=(),
        check=each(complaint),
    )
    port_mapping: bool = option(
        "ask the router to map our port; nothing is asked when we listen on 127.0.0.1 or have a public address",
        default=True,
    )
    hole_punch_timeout: float = option(
        f"seconds until an attempt to find a path is given up{LATER}", default=60.0, check=between(1, 3600)
    )
    nat_detection: bool = option(
        "judge the NAT by what the STUN servers see; false asks only the first of them", default=True
    )
    drop: pathlib.Path | None = option(
        "a directory shared with clients, by which they can shake hands without reaching this server; null is none",
        default=None,
    )
    drop_publish: bool = option("keep a copy of every security file in that directory, too", default=False)


@dataclass(frozen=True, slots=True)
class Chat:
    """What the chat keeps."""

    rooms: tuple[str, ...] = option(
        "rooms that are always there; everybody enters the first", default=(DEFAULT_ROOM,), check=_rooms
    )
    history: int = option(
        "how many messages of a room newcomers are shown; 0 keeps nothing", default=0, check=between(0, 1000)
    )
    handler_name: str = option("the name of the handler in the chat", default="bot", check=_room)


@dataclass(frozen=True, slots=True)
class Logging:
    """What is told on standard error."""

    level: str = option(
        "debug, info, warning or error", default="info", check=one_of("debug", "info", "warning", "error")
    )
    format: str = option(
        "json, text, or auto: text on a terminal, JSON elsewhere", default="auto", check=one_of("auto", "json", "text")
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All of ``server.yaml``."""

    server: Server = section(Server)
    security: Security = section(Security)
    encryption: Encryption = section(Encryption)
    networking: Networking = section(Networking)
    chat: Chat = section(Chat)
    logging: Logging = section(Logging)
    metrics: Metrics = section(Metrics)
    handler: tuple[str, ...] = option(
        "a command that answers in the chat: one JSON line in for each message, one out; [] is none", default=()
    )


def unused(loaded: Loaded[Settings]) -> list[str]:
    """List the keys that were set although this version does not use them."""
    return [
        key for key, part in _later() if loaded.sources[key] != "default" and part.default != _value(loaded.value, key)
    ]


def _later() -> Iterator[tuple[str, Option]]:
    for name, part in sections_of(Settings).items():
        if isinstance(part, Section):
            yield from ((f"{name}.{key}", item) for key, item in part.options.items() if item.help.endswith(LATER))


def _value(settings: Settings, key: str) -> object:
    section_name, _, name = key.partition(".")
    return getattr(getattr(settings, section_name), name)
