"""The ways to punch that the laboratory can compare."""

from __future__ import annotations

from enum import StrEnum


class Strategy(StrEnum):
    """How two ends try to reach each other directly."""

    CLAWCHAT = "clawchat"
    """Ours: prime, fire, fan, over a session that a relay carries."""
    PLAIN = "plain"
    """Full-TTL probes from one port to all that the peer told, again and again (ICE, RFC 8445; Tailscale, libp2p)."""
    BIRTHDAY = "birthday"
    """The same, and with one changing NAT: many ports on its side, random ports probed from the other, no primes
    (Anderson, "How NAT traversal works", Tailscale 2020)."""

    @property
    def rival(self) -> bool:
        """Tell whether it is somebody else's."""
        return self is not Strategy.CLAWCHAT


RIVALS = tuple(strategy for strategy in Strategy if strategy.rival)
