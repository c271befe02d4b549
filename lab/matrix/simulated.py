"""The matrix over the simulated internet: the endpoints are real, everything between them is a function.

A cell is over as soon as nothing more can come of it: both ends are direct, or they know that no direct path is to be
had and none came in spite of it. All times are virtual, so that a cell is the same whatever the machine does.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Final, NamedTuple

from clawchat.nat.reasons import REASONS, Reason
from clawchat.values.address import Path
from lab.matrix.expected import Pair, Verdict, expected
from lab.matrix.result import CellResult, Matrix, Moment, Proof, Run
from lab.sim.cell import SETTLE, Cell

CELL_SECONDS: Final = 12.0
"""How long a cell has to connect, and how long it has to become direct."""

RELAY_SECONDS: Final = 2.5
"""How long it has to become direct where a relay is the best that can be had: all ports have been tried by then."""

OVER: Final = frozenset({Reason.BOTH_SYMMETRIC, Reason.RELAY_ONLY, Reason.UDP_BLOCKED, Reason.PEER_BLOCKED})
"""Reasons for which nothing that either end tries can succeed."""

DOUBT: Final = 0.75
"""How long from its beginning a session is watched that is said to stay on the relay. Without luck in guessing no
direct path takes more than 0.6 s, so that one which nobody expects is seen; later rounds try the same again."""

PINGS: Final = 3
"""How many times the other end is asked after the relays were cut off; at once, since nothing gets lost on the way."""

PING_WAIT: Final = 0.2
"""How long answers are waited for; five times what one takes."""

WORTHWHILE: Final = 200
"""Runs from which a second process saves more time than it takes to start."""

TOLD: Final = 5
"""Seeds whose timelines are kept: the first run that is as expected stands for its cell."""


class Trial(NamedTuple):
    """One run of one pair."""

    client: str
    server: str
    seed: int


def try_simulated(pairs: Sequence[Pair], *, runs: int = 1) -> Matrix:
    """Try these pairs, each with so many seeds."""
    began = time.monotonic()
    seeds = range(1, runs + 1)
    rounds = _spread_out(pairs, seeds) if runs * len(pairs) >= WORTHWHILE else [_round(pairs, seed) for seed in seeds]
    cells = tuple(CellResult(*pair, tuple(found[pair] for found in rounds)) for pair in pairs)
    return Matrix("sim", cells, time.monotonic() - began)


def _spread_out(pairs: Sequence[Pair], seeds: Iterable[int]) -> list[dict[Pair, Run]]:
    """Try on all processors; what comes out does not depend on how many there are."""
    processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    with ProcessPoolExecutor(processes, initializer=gc.disable) as pool:
        return list(pool.map(partial(_round, pairs, after_each=_clear), seeds))


def _clear() -> None:
    """Throw a run away at once, as long as the processor's caches still know it.

    What outlives it does so for good, and is not looked at again.
    """
    gc.collect()
    gc.freeze()


def _round(pairs: Iterable[Pair], seed: int, *, after_each: Callable[[], None] = lambda: None) -> dict[Pair, Run]:
    """Try these pairs with one seed; those whose NATs would have done the same with every packet share a run."""
    left = dict.fromkeys(pairs)
    found: dict[Pair, Run] = {}
    while left:
        client, server = next(iter(left))
        beside = [other for other, its in left if its == server], [its for other, its in left if other == client]
        cell, hoped = Cell(client, server, seed=seed, beside=beside), expected(client, server)
        run = _ran(cell, hoped, told=seed <= TOLD)
        same = [pair for pair in cell.same if expected(*pair) is hoped]
        del cell  # what is still held would not be thrown away
        after_each()
        for pair in left.keys() & same:
            del left[pair]
            found[pair] = run
    return found


def tried(trial: Trial) -> Run:
    """Run one session to its verdict. The timeline is told of the first seeds, and of what went wrong."""
    hoped = expected(trial.client, trial.server)
    return _ran(Cell(trial.client, trial.server, seed=trial.seed), hoped, told=trial.seed <= TOLD)


def _ran(cell: Cell, hoped: Verdict, *, told: bool) -> Run:
    cell.start()
    if not cell.net.run(SETTLE + CELL_SECONDS, stop=lambda: cell.client.opened_at is not None):
        return Run(Verdict.FAIL, str(cell.reason), packets=_sent(cell), timeline=_failed(cell))
    cell.client.ping()
    _settle(cell, hopeful=hoped is Verdict.DIRECT)
    packets, verdict = _sent(cell), Verdict(cell.verdict)
    cut_at = cell.net.now
    proof = _cut_off(cell)
    opened = cell.client.opened_at or SETTLE
    first = cell.client.answered[0] if cell.client.answered else None
    told = told or verdict is not hoped or not proof.fits(verdict)
    return Run(
        verdict,
        str(cell.reason),
        opened_after=opened - SETTLE,
        first_byte_after=None if first is None else first - SETTLE,
        direct_after=None if cell.client.direct_at is None else cell.client.direct_at - opened,
        strategy=_strategy(cell) if verdict is Verdict.DIRECT else "",
        packets=packets,
        proof=proof,
        timeline=tuple(sorted((*_moments(cell), Moment(cut_at - SETTLE, f"relays cut off: {proof}")))) if told else (),
    )


def _settle(cell: Cell, *, hopeful: bool) -> None:
    """Go on until both ends are direct, or nothing more is to be expected."""
    opened = cell.net.now
    client, server = cell.client, cell.server

    def settled() -> bool:
        return bool(client.answered) and ((client.direct and server.direct) or client.path_reason in OVER)

    cell.net.run(opened + (CELL_SECONDS if hopeful else RELAY_SECONDS), stop=settled)
    if not cell.direct_both:
        cell.net.run(opened + DOUBT, stop=lambda: cell.direct_both)


def _cut_off(cell: Cell) -> Proof:
    """Cut the relays off, and ask the other end whether it hears us."""
    net, client = cell.net, cell.client
    for relay in net.plan.hosts:
        net.cut(relay)
    before = len(client.answered)
    client.ping(PINGS)
    net.run(net.now + PING_WAIT, stop=lambda: len(client.answered) >= before + PINGS)
    return Proof(PINGS, len(client.answered) - before)


def _sent(cell: Cell) -> tuple[int, int]:
    return cell.client.party.sent, cell.server.party.sent


def _strategy(cell: Cell) -> str:
    """Name what opened the path: the reason, and the moves of both ends if there were any."""
    memories = (end.party.endpoint.scout.memory for end in (cell.client, cell.server))
    moves = dict.fromkeys(str(move) for memory in memories for move in memory.winners.values())
    return str(cell.reason) + (f" ({' and '.join(moves)})" if moves else "")


def _moments(cell: Cell) -> Iterator[Moment]:
    """Go through what the two ends met."""
    for who, end in (("client", cell.client), ("server", cell.server)):
        if end.opened_at is not None:
            yield Moment(end.opened_at - SETTLE, f"{who}: session up")
        for at, event in end.moves:
            yield Moment(at - SETTLE, f"{who}: now over {_named(event.path)} ({event.why})")
    if cell.client.answered:
        yield Moment(cell.client.answered[0] - SETTLE, "client: first ping answered")


def _named(path: Path) -> str:
    return "the relay" if path.relayed else str(path.remote)


def _failed(cell: Cell) -> tuple[Moment, ...]:
    meaning = REASONS[cell.reason]
    return (Moment(CELL_SECONDS, f"client: gave up: {meaning.cause}"),)
