"""A mapping that a router granted, or would not grant."""

from __future__ import annotations

import ipaddress
from enum import Enum
from typing import Final, NamedTuple

from clawchat.values.address import Address

LIFETIME: Final = 1200
"""Seconds we ask for: what a program that was killed leaves behind is gone soon, and a router that restarted is
noticed within half of it. RFC 6886 recommends two hours, for devices that sleep."""

LONGEST: Final = 24 * 3600
"""A router that grants more is believed this much (RFC 6887 section 15)."""

RENEW_SHARES: Final = (1 / 2, 3 / 4, 7 / 8)
"""When a lease is renewed, as shares of its time; each next one is for the router that did not answer the last
(RFC 6887 section 11.2.1)."""

SOONEST: Final = 4.0
"""Seconds between two renewals at least (RFC 6887 section 11.2.1)."""


class Protocol(Enum):
    """How a router is asked, best first."""

    PCP = "PCP"
    NAT_PMP = "NAT-PMP"
    UPNP = "UPnP"


class Gateway(NamedTuple):
    """The router our traffic leaves through, our own address towards it, and the network both are in."""

    address: str
    local: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network


class Lease(NamedTuple):
    """A port of the router that leads to ours, for a while."""

    protocol: Protocol
    external: Address
    internal: Address
    granted_at: float
    lifetime: float
    """Seconds; routers that know no leases grant ``LONGEST``, and forget only when told."""

    @property
    def expires_at(self) -> float:
        """Return when the router forgets it."""
        return self.granted_at + self.lifetime

    def renew_at(self, tries: int) -> float | None:
        """Return when to renew it after so many tries in vain; None when it is not worth another."""
        if tries >= len(RENEW_SHARES):
            return None
        after = max(self.lifetime * RENEW_SHARES[tries], SOONEST * (tries + 1))
        return self.granted_at + after if after < self.lifetime else None


class Refusal(NamedTuple):
    """A router said no."""

    protocol: Protocol
    reason: str
