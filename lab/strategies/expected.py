"""Which verdict each strategy has to get for a pair of NATs; for the rivals as they were measured."""

from __future__ import annotations

from typing import Final

from lab.matrix import expected as ours
from lab.matrix.expected import BLOCKED, SYMMETRIC, Verdict
from lab.strategies.strategy import Strategy

CLOSED: Final = ("port-restricted", "poisonable-home", "cgnat", "double")
"""NATs with one outside port for all, which let in nothing but what was sent to."""

CHANGED: Final = "the NAT opened another port than the one that was told"
NO_TCP: Final = "UDP blocked; a rival's end of this laboratory carries nothing over TCP"


def expected(strategy: Strategy, client: str, server: str) -> Verdict:
    """Return what a pair of NATs has to get."""
    if strategy is Strategy.CLAWCHAT:
        return ours.expected(client, server)
    pair = {client, server}
    if BLOCKED in pair:
        return Verdict.FAIL
    if pair <= set(SYMMETRIC):
        return Verdict.RELAY
    if strategy is Strategy.PLAIN and pair & set(CLOSED) and pair & set(SYMMETRIC):
        return Verdict.RELAY
    return Verdict.DIRECT


def because(strategy: Strategy, client: str, server: str) -> str:
    """Say why no direct path is expected; empty where one is."""
    if strategy is Strategy.CLAWCHAT:
        return ours.because(client, server)
    verdict = expected(strategy, client, server)
    return {Verdict.DIRECT: "", Verdict.RELAY: CHANGED, Verdict.FAIL: NO_TCP}[verdict]
