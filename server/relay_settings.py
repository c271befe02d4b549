"""The keys of ``relay.yaml``, which a relay can do without: their types, their defaults, and what they are for."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Final

from clawchat.net.config_schema import between, option, section
from clawchat.services.relay import RATE
from clawchat.values.errors import UsageError
from clawchat.values.websocket import check_websocket
from server.metrics.settings import Metrics
from server.settings import Logging, check_public, check_server_ip, check_slot_name

BITS: Final = 8
MEGA: Final = 1_000_000


def _url(value: str | None) -> str | None:
    try:
        check_websocket(value or "ws://:1")
    except UsageError as error:
        return str(error)
    return None


@dataclass(frozen=True, slots=True)
class Relay:
    """Who the relay is, and where it listens."""

    id: str = option("the name of the relay", default="clawchat-relay", check=check_slot_name)
    ip: str = option("the address to listen on", default="0.0.0.0", check=check_server_ip)  # noqa: S104 - as above
    port: int | None = option(
        "the UDP port; null picks a random one in 49152-65535 the first time, and keeps it",
        default=None,
        check=between(1, 65535),
    )


@dataclass(frozen=True, slots=True)
class Security:
    """Who may use the relay, and for how long."""

    directory: pathlib.Path | None = option(
        "where relay.sec, its key and the control socket live (mode 0700); null is the platform's place for them",
        default=None,
    )
    validity_days: float = option("how long relay.sec may be used", default=3650.0, check=between(1, 36500))


@dataclass(frozen=True, slots=True)
class Networking:
    """How the relay is reached."""

    public_address: str | None = option(
        "the address everybody reaches this relay at, with a port if it differs; null: this machine's own addresses",
        default=None,
        check=check_public,
    )


@dataclass(frozen=True, slots=True)
class WebSocket:
    """A TCP port for servers and clients on networks that let no UDP through."""

    port: int | None = option(
        "the TCP port; 443 passes nearly everywhere; null: no WebSockets", default=None, check=between(1, 65535)
    )
    url: str | None = option(
        "what relay.sec says instead of this port at the relay's addresses, such as wss://relay.example/chat, where a "
        "web server passes WebSockets on to it",
        default=None,
        check=_url,
    )
    certificate: pathlib.Path | None = option(
        "a certificate chain for TLS, in PEM form, relative to this file; it may be self-signed: TLS hides, and what "
        "is inside is sealed anyway; null: no TLS",
        default=None,
    )
    key: pathlib.Path | None = option("the key to the certificate", default=None)
    connections: int = option("how many TCP connections there may be at once", default=1000, check=between(2, 65536))
    per_address: int = option(
        "how many of them from one address, or from one IPv6 network; raise it where a web server passes them on",
        default=64,
        check=between(1, 65536),
    )


@dataclass(frozen=True, slots=True)
class Quota:
    """How much is passed on, and for how many."""

    megabits: float = option(
        "how much is passed on for one session in a second; more is dropped",
        default=RATE * BITS / MEGA,
        check=between(0.1, 10_000),
    )
    sessions: int = option("how many servers and clients may be here at once", default=1000, check=between(2, 65536))


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """All of ``relay.yaml``."""

    relay: Relay = section(Relay)
    security: Security = section(Security)
    networking: Networking = section(Networking)
    websocket: WebSocket = section(WebSocket)
    quota: Quota = section(Quota)
    logging: Logging = section(Logging)
    metrics: Metrics = section(Metrics)
