"""Choose one of the protocols while their probes are still under way.

All are probed at once, and only one maps: on many routers the three share one table, where a second mapping of the
same port is refused and a superfluous one can't be removed without the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from clawchat.nat.portmap.lease import Protocol


class Standing(Enum):
    """What is known of a protocol."""

    UNKNOWN = "unknown"
    ABLE = "able"
    UNABLE = "unable"


def choose(standings: Mapping[Protocol, Standing], *, patient: bool) -> Protocol | None:
    """Return the best protocol the router speaks; None while that is unknown, or when it speaks none.

    ``patient``: wait for a better one that may still answer.
    """
    for protocol in Protocol:
        standing = standings.get(protocol, Standing.UNABLE)
        if standing is Standing.ABLE:
            return protocol
        if standing is Standing.UNKNOWN and patient:
            return None
    return None
