"""Bouts in namespaces: real sockets, real netfilter, several lanes at once."""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.strategies.arena import Arena, Lane, arena
from lab.strategies.outcome import Order
from lab.study.bout import CABLE_DELAY, Bout, Trial

LIMIT: float = 10.0
"""Seconds that a session of ours has to become direct: longer than the longest guess takes."""


def fight_all(groups: Sequence[Sequence[Bout]], *, lanes: int, seed: int) -> list[list[Trial]]:
    """Fight groups of bouts, each group on one lane: the same gateways, one bout after the other.

    All bouts are between the same two NATs and cables. Raises NamespaceError.
    """
    first = groups[0][0]
    lane = Lane(first.client, first.server, first.link)
    waiting: queue.SimpleQueue[tuple[int, Sequence[Bout]]] = queue.SimpleQueue()
    for item in enumerate(groups):
        waiting.put(item)
    found: dict[int, list[Trial]] = {}
    with arena([lane] * lanes, delay=CABLE_DELAY, seed=seed) as ground, ThreadPoolExecutor(lanes) as pool:
        for done in [pool.submit(_work(ground, number, waiting, found)) for number in range(lanes)]:
            done.result()
    return [found[number] for number in range(len(groups))]


def _work(
    ground: Arena, lane: int, waiting: queue.SimpleQueue[tuple[int, Sequence[Bout]]], found: dict[int, list[Trial]]
) -> Callable[[], None]:
    """Return what a lane's thread does."""

    def run() -> None:
        while True:
            try:
                number, bouts = waiting.get_nowait()
            except queue.Empty:
                return
            found[number] = [_fight(ground, lane, bout, f"{number}.{place}") for place, bout in enumerate(bouts)]

    return run


def _fight(ground: Arena, lane: int, bout: Bout, room: str) -> Trial:
    order = Order(strategy=bout.strategy, role="", room=room, seed=bout.seed, blind=bout.blind, limit=LIMIT)
    duel = ground.duel(lane, order, late=bout.late)
    return Trial(duel.client.verdict, duel.client.took, duel.packets)
