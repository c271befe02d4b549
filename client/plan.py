"""What a command is about to do, with everything it needs to know."""

from __future__ import annotations

import dataclasses
import math
import pathlib
from dataclasses import dataclass
from typing import Final

from clawchat.net.carrying import Post
from clawchat.net.paths import Places
from clawchat.values.address import Address
from clawchat.values.limits_rotation import KEY_ROTATION
from client.opening import Opened
from client.settings import Way

PIPE_PATIENCE: Final = 120.0


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
    patience: float = math.inf  # seconds to try to come back after the session is lost; 0: not at all
    way: Way = Way.AUTO
    websocket: bool = True  # whether relays may be reached by it
    post: Post | None = None  # what carries the handshake instead of datagrams
    post_timeout: float = 0.0  # seconds until it must have brought an answer
    key_rotation: float = KEY_ROTATION  # seconds that one set of keys is used for
    port_rotation: float = 0.0  # seconds that one UDP port is used for, more or less; 0 for good
    stun_servers: tuple[str, ...] = ()  # who tells where we are seen from outside, if the post must know

    def with_patience(self, seconds: float | None, *, interactive: bool) -> Plan:
        """Set how long to try to come back; a script should not hang for hours."""
        if seconds is None:
            seconds = math.inf if interactive else PIPE_PATIENCE
        return dataclasses.replace(self, patience=seconds)
