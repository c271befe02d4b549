"""What may differ between endpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clawchat.transport.congestion import CongestionController
from clawchat.transport.cubic import Cubic
from clawchat.values.address import Address
from clawchat.values.limits import HANDSHAKE_BURST, HANDSHAKE_RATE, MAX_HALF_OPEN, MAX_SESSIONS
from clawchat.values.limits_rotation import KEY_ROTATION, PORT_GRACE


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """The limits and habits of one endpoint.

    ``handshake_rate`` and ``handshake_burst`` bound the answers to authentic HELLOs, ``congestion`` makes the
    controller of a new path, ``candidates`` is where this end may be reached. Without ``punch`` a session that
    began on a relay stays on it. Keys are changed every ``key_rotation`` seconds, the port every ``port_rotation``
    (0: never), and the old one hears for ``port_grace`` more. A program that ``prepares_ports`` is told of a new one
    (PortReady) before the peers are.
    """

    handshake_rate: float = HANDSHAKE_RATE
    handshake_burst: int = HANDSHAKE_BURST
    max_half_open: int = MAX_HALF_OPEN
    max_sessions: int = MAX_SESSIONS
    congestion: Callable[[], CongestionController] = Cubic
    candidates: Sequence[Address] = ()
    punch: bool = True
    key_rotation: float = KEY_ROTATION
    port_rotation: float = 0.0
    port_grace: float = PORT_GRACE
    prepares_ports: bool = False
