"""What a command is about to do, with everything it needs to know."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass

from clawchat.net.paths import Places
from clawchat.values.address import Address
from client.opening import Opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whom to reach with which credential, how long to try, and who we are there."""

    opened: Opened
    places: Places
    name: str
    room: str
    timeout: float  # seconds
    local: Address  # our own end; an empty host is any address, port 0 a random one
    keylog: pathlib.Path | None = None
    forget: bool = False
