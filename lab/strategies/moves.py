"""When a rival probes, and from how many ports."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

CHECK_INTERVAL: Final = 0.2
"""Seconds between two probes of one address: pion's ICE agent (`defaultCheckInterval`)."""

GIVE_UP: Final = 5.0
"""Seconds after which plain probes end. Pion ends after 7 of them; more time can only help."""

HARD_PORTS: Final = 256
PROBE_RATE: Final = 100
PROBES: Final = 2048
"""Ports opened on the changing side, ports probed a second from the other, and how many: with them half of all
attempts get through in 2 seconds and 99.9 % in 20 (Anderson, "How NAT traversal works", Tailscale 2020)."""

PATIENCE: Final = 1.0
"""Seconds in which the last probe's answer may come."""

LOWEST_PORT: Final = 1024
HIGHEST_PORT: Final = 65_535

BIRTHDAY_GIVE_UP: Final = PROBES / PROBE_RATE + PATIENCE


def random_ports(random: Random) -> Iterator[int]:
    """Return the ports to probe, in an order of chance, none of them twice."""
    return iter(random.sample(range(LOWEST_PORT, HIGHEST_PORT + 1), PROBES))
