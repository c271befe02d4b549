"""Which verdict each strategy has to get for a pair of NATs; for the rivals as they were measured."""

from __future__ import annotations

from typing import Final

from lab.matrix import expected as ours
from lab.matrix.expected import Foresight, Verdict, foresight, guessed, passes_udp
from lab.model.nat import Unsolicited
from lab.model.presets import preset
from lab.strategies.strategy import Strategy

CHANGED: Final = "a NAT opened another port than the one that was told"
NO_TCP: Final = "UDP blocked; a rival's end of this laboratory carries nothing over TCP"


def expected(strategy: Strategy, client: str, server: str) -> Verdict:
    """Return what a pair of NATs has to get when both ends begin at the same moment."""
    if strategy is Strategy.CLAWCHAT:
        return ours.expected(client, server)
    ends = preset(client).layers, preset(server).layers
    if not all(map(passes_udp, ends)):
        return Verdict.FAIL
    if Foresight.KNOWN not in map(foresight, ends):
        return Verdict.RELAY
    if not guessed(client, server):
        return Verdict.DIRECT
    # Only the birthday guesses; its openers spoil ports at a gateway that takes early packets for its own.
    spoilt = any(nat.unsolicited is Unsolicited.ACCEPT for layers in ends for nat in layers)
    return Verdict.RELAY if strategy is Strategy.PLAIN or spoilt else Verdict.DIRECT


def because(strategy: Strategy, client: str, server: str) -> str:
    """Say why no direct path is expected; empty where one is."""
    if strategy is Strategy.CLAWCHAT:
        return ours.because(client, server)
    verdict = expected(strategy, client, server)
    return {Verdict.DIRECT: "", Verdict.RELAY: CHANGED, Verdict.FAIL: NO_TCP}[verdict]
