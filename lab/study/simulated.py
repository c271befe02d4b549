"""Bouts on the simulated internet: real endpoints, or a rival's machines, in virtual time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from clawchat.nat.reasons import Reason
from lab.matrix.expected import Verdict
from lab.sim.cell import SETTLE, Cell, Peer
from lab.sim.rivalry import Rivalry, network
from lab.study.bout import CABLE_DELAY, Bout, Trial

OPEN_SECONDS: Final = 12.0
DIRECT_SECONDS: Final = 10.0
"""How long a bout of ours has to connect, and then to become direct: longer than the longest guess takes."""

OVER: Final = frozenset({Reason.BOTH_SYMMETRIC, Reason.UDP_BLOCKED, Reason.PEER_BLOCKED})
DOUBT: Final = 1.0
"""Reasons after which an end tries nothing more for a long time, and how long that is watched all the same."""

WORTHWHILE: Final = 200
"""Bouts from which a second process saves more time than it takes to start."""

CHUNK: Final = 20


def fight_all(bouts: Sequence[Bout]) -> list[Trial]:
    """Fight many bouts on all processors; what comes out does not depend on how many there are."""
    if len(bouts) < WORTHWHILE:
        return list(map(fight, bouts))
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(fight, bouts, chunksize=CHUNK))


def fight(bout: Bout) -> Trial:
    """Fight one bout."""
    return _rival(bout) if bout.strategy.rival else _ours(bout)


def _rival(bout: Bout) -> Trial:
    net = network(bout.client, bout.server, seed=bout.seed, delay=CABLE_DELAY, loss=bout.link.loss)
    found = Rivalry(net, bout.strategy, seed=bout.seed, late=bout.late).run()
    return Trial(found.outcome.verdict, found.outcome.took, found.packets)


def _ours(bout: Bout) -> Trial:
    cell = Cell(
        bout.client,
        bout.server,
        seed=bout.seed,
        delay=CABLE_DELAY,
        loss=bout.link.loss,
        depth=not bout.blind,
        skew=bout.late[1],
    )
    client, server, net = cell.client, cell.server, cell.net
    client.late = bout.late[0]
    cell.start()
    if not net.run(SETTLE + OPEN_SECONDS, stop=lambda: client.opened_at is not None) or client.opened_at is None:
        return Trial(Verdict.FAIL, None, 0)
    before = _sent(client, cell)  # what the server has sent by now opened its NAT
    net.run(net.now + DIRECT_SECONDS, stop=lambda: client.direct_at is not None or _hopeless(client))
    net.run(net.now + (DOUBT if client.direct_at is None else 0.0), stop=lambda: client.direct_at is not None)
    packets = _sent(client, cell) + _sent(server, cell) - before
    if client.direct_at is None:
        return Trial(Verdict.RELAY, None, packets)
    return Trial(Verdict.DIRECT, client.direct_at - client.opened_at, packets)


def _hopeless(client: Peer) -> bool:
    """Tell whether an end knows that no direct path is to be had for a long time."""
    return client.id in client.party.endpoint.sessions and client.session.path_reason in OVER


def _sent(end: Peer, cell: Cell) -> int:
    """Count what an end sent towards the other, or thought to."""
    relays = {address for host in cell.net.plan.hosts.values() for address in host.addresses}
    return sum(number for host, number in end.party.sent_to.items() if host not in relays)
