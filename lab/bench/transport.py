"""The comparison itself: every peer in turn, round after round, on one stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab.bench.peers.base import Peer, Plan
from lab.bench.report import Comparison, Row
from lab.bench.stage import PeerFailedError, Setup, Stage, open_stage
from lab.netns import NamespaceError


def compare(peers: Sequence[Peer], setup: Setup, plan: Plan, *, rounds: int, say: Callable[[str], None]) -> Comparison:
    """Measure every peer once a round, so that all of them meet the same ups and downs of the machine.

    A peer that cannot run here is skipped with its reason; one that fails is left out of later rounds. `say` gets
    one line a step.
    """
    rows = [Row(peer.name, peer.what, skipped=peer.missing()) for peer in peers]
    with open_stage(setup, pinned=plan.pinned) as stage:
        for turn in range(1, rounds + 1):
            for peer, row in zip(peers, rows, strict=True):
                if row.skipped or row.failed:
                    if turn == 1:
                        say(f"{setup} {peer.name}: skipped: {row.skipped}")
                    continue
                say(f"{setup} round {turn}/{rounds} {peer.name}")
                row.failed = _measure(stage, peer, row, plan)
                if row.failed:
                    say(f"{setup} {peer.name}: failed: {row.failed}")
    return Comparison(setup, rows)


def _measure(stage: Stage, peer: Peer, row: Row, plan: Plan) -> str | None:
    try:
        if not row.samples:
            row.version = peer.version()
            peer.prepare(stage)
        row.samples.append(peer.measure(stage, plan))
        return None
    except (PeerFailedError, NamespaceError, OSError) as error:
        return str(error)
    finally:
        stage.clear()
