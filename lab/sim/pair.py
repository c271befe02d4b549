"""Where two ends meet: a gateway for each of them, and relays between."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from lab.model.link import Link
from lab.model.plan import Plan, plan
from lab.model.topology import Host, Topology, row

KNOWN_PLANS: Final = 256
"""How many plans are remembered: a matrix tries each of its pairs again and again."""


@lru_cache(KNOWN_PLANS)
def plan_of_pair(client: str, server: str, *, delay: float, loss: float, relays: int = 1) -> Plan:
    """Plan a client behind gateway ``g1`` and a server behind ``g2``, with so many relays of two addresses each.

    ``delay`` and ``loss`` are those of each gateway's cable.
    """
    hosts = [Host(f"relay-{number}", 2, Link(delay=delay)) for number in range(1, relays + 1)]
    topology = row([client, server], hosts=hosts)
    link = Link(delay=delay, loss=loss)
    gateways = tuple(one if one.behind else replace(one, link=link) for one in topology.gateways)
    return plan(Topology("pair", gateways, topology.peers, topology.hosts))
