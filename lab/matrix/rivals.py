"""The matrix of a rival: the same pairs of NATs and the same gateways, somebody else's way to punch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from lab.matrix.expected import Pair
from lab.matrix.result import CellResult, Matrix, Run
from lab.sim.rivalry import Rivalry, network
from lab.strategies.arena import Lane, arena
from lab.strategies.outcome import Order, Outcome
from lab.strategies.strategy import Strategy

LANES: Final = 8
"""Pairs at once; most of the time they wait."""


def try_simulated(pairs: Sequence[Pair], strategy: Strategy, *, runs: int = 1) -> Matrix:
    """Try these pairs on the simulated internet, each with so many seeds."""
    began = time.monotonic()

    def run(pair: Pair, seed: int) -> Run:
        rivalry = Rivalry(network(*pair, seed=seed), strategy, seed=seed).run()
        return _run(rivalry.outcome, rivalry.client.sent, rivalry.server.sent)

    cells = [CellResult(*pair, tuple(run(pair, seed) for seed in range(1, runs + 1)), strategy) for pair in pairs]
    return Matrix("sim", tuple(cells), time.monotonic() - began, strategy)


def try_namespaces(pairs: Sequence[Pair], strategy: Strategy, *, runs: int = 1) -> Matrix:
    """Try these pairs behind real netfilter. Raises NamespaceError."""
    began = time.monotonic()
    left = iter(pairs)
    cells: list[CellResult] = []
    while some := list(itertools.islice(left, LANES)):
        cells += _some(some, strategy, runs)
    return Matrix("netns", tuple(cells), time.monotonic() - began, strategy)


def _some(pairs: Sequence[Pair], strategy: Strategy, runs: int) -> Iterator[CellResult]:
    """Try a few pairs at the same time."""
    lanes = [Lane(*pair) for pair in pairs]
    with arena(lanes) as ground, ThreadPoolExecutor(len(lanes)) as pool:

        def cell(lane: int) -> CellResult:
            found = []
            for seed in range(1, runs + 1):
                order = Order(strategy=strategy, role="", room=f"{lane}.{seed}", seed=seed)
                duel = ground.duel(lane, order)
                found.append(_run(duel.client, duel.client.sent, duel.server.sent))
            return CellResult(*pairs[lane], tuple(found), strategy)

        yield from pool.map(cell, range(len(lanes)))


def _run(outcome: Outcome, sent: int, peer_sent: int) -> Run:
    direct = outcome.took is not None
    return Run(
        outcome.verdict,
        "" if direct else "no probe was answered",
        direct_after=outcome.took,
        strategy="a probe was answered" if direct else "",
        packets=(sent, peer_sent),
    )
