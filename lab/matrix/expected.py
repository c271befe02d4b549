"""Which verdict each ordered pair of NATs has to get; every backend is held to this one table."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

CONES: Final = ("open", "full-cone", "address-restricted")
"""What lets in a peer that it was punched for, whatever port the peer comes from."""

SYMMETRIC: Final = ("symmetric-sequential", "symmetric-random")
BLOCKED: Final = "udp-blocked"
NAMES: Final = (*CONES, "port-restricted", *SYMMETRIC, BLOCKED)
"""The NATs of the matrix, each as a client's and as a server's."""

NO_UDP: Final = "UDP blocked; no WebSocket in this version"
BOTH_CHANGE: Final = "both NATs choose ports that can't be foreseen"


class Verdict(StrEnum):
    """How a session got through."""

    DIRECT = "direct"
    RELAY = "relay"
    FAIL = "fail"


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return these NATs, each once. Raises ValueError for one of which nothing is known to be expected."""
    found = tuple(dict.fromkeys(names))
    for name in found:
        if name not in NAMES:
            raise ValueError(f"the matrix has no {name!r}; it has {', '.join(NAMES)}")
    return found


def expected(client: str, server: str) -> Verdict:
    """Return the best that can be had; a better verdict is as suspicious as a worse one."""
    if BLOCKED in {client, server}:
        return Verdict.FAIL
    if {client, server} <= set(SYMMETRIC) and "symmetric-random" in {client, server}:
        return Verdict.RELAY
    return Verdict.DIRECT


def because(client: str, server: str) -> str:
    """Say why no direct path is expected; empty where one is."""
    return {Verdict.DIRECT: "", Verdict.RELAY: BOTH_CHANGE, Verdict.FAIL: NO_UDP}[expected(client, server)]
