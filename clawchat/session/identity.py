"""Who a session is."""

from __future__ import annotations

from typing import NamedTuple

from clawchat.values.events import Role


class Identity(NamedTuple):
    """Who a session is: its id here, its role, the slot it came by, what both ends compare."""

    id: int
    role: Role
    slot_id: bytes
    slot_name: str
    words: str
    cid: bytes
