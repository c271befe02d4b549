"""Who a session is, and how it fares."""

from __future__ import annotations

from typing import NamedTuple

from clawchat.values.address import Path
from clawchat.values.events import Role


class Identity(NamedTuple):
    """Who a session is: its id here, its role, the slot it came by, what both ends compare."""

    id: int
    role: Role
    slot_id: bytes
    slot_name: str
    words: str
    cid: bytes


class SessionStats(NamedTuple):
    """Figures of a session; times in seconds, sizes in bytes.

    ``loss`` is the share of the packets sent that was lost, ``heard`` how long ago the peer was last heard,
    ``key_age`` how old the keys of the ``epoch`` are.
    """

    age: float
    rtt: float
    rtt_min: float
    loss: float
    bytes_sent: int
    bytes_received: int
    packets_sent: int
    packets_received: int
    datagram_size: int
    window: int
    in_flight: int
    path: Path
    heard: float
    epoch: int
    key_age: float
