"""Captures of the sessions of a matrix, on both sides of every gateway, and what they prove; for any backend.

All programs log their keys, so each capture is opened to its last byte. A datagram of an earlier session can still be
under way in a later one, hence every capture is judged with the keys of all.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Self

from clawchat.crypto.keylog import KeyRing, parse
from clawchat.net.files import write_private
from lab.capture.recording import Point, Recorder, both_sides
from lab.capture.tap import datagrams_alone
from lab.matrix.expected import Pair
from lab.matrix.result import Run
from lab.model.plan import Plan
from lab.verify.canaries import Needles, of_keys

KEYS_NAME: Final = "keys.log"
"""The key log of all programs, beside the captures."""

ENDING: Final = ".pcapng"


class Judgement(NamedTuple):
    """How many datagrams of a capture are ciphertext, and what keeps it from being proven."""

    proven: str
    """n/n."""
    problem: str


class Taping(NamedTuple):
    """That sessions are recorded and judged, and where the captures and the key log stay; None keeps none."""

    keep: Path | None = None


def missing() -> str | None:
    """Return what captures cannot be judged without, None if it is there."""
    return None if importlib.util.find_spec("scapy") else "scapy (the extra `lab`)"


class Tapes:
    """The captures of one matrix; ``networks`` are the network namespaces of all its machines, by node."""

    def __init__(self, plan: Plan, networks: Mapping[str, Path], folder: Path) -> None:
        self.folder = folder
        self._plan = plan
        self._networks = networks
        for network in networks.values():
            datagrams_alone(network)
        self._recorder = Recorder()
        self._taken: dict[Pair, int] = {}

    def begin(self, pair: Pair, gateways: Iterable[str]) -> Path:
        """Record a session at these gateways, and at those they stand behind. Raises NamespaceError."""
        number = self._taken[pair] = self._taken.get(pair, 0) + 1
        cell = " x ".join(pair)
        file = self.folder / f"{'-x-'.join(pair)}{'' if number == 1 else f'-{number}'}{ENDING}"
        points: list[Point] = []
        for gateway, claimed in zip(gateways, pair, strict=True):
            for layer in self._plan.layers(gateway):
                points += both_sides(self._networks[layer.name], layer.name, claimed=claimed, cell=cell)
        self._recorder.record(file, points, comment=f"{self._plan.name}: {cell}")
        return file

    def end(self, file: Path) -> None:
        """End the recording of a session that is over."""
        self._recorder.end(file)

    def judge(self, runs: Mapping[Pair, Sequence[Run]], logs: Iterable[Path]) -> dict[Pair, list[Run]]:
        """Return the runs with what their captures prove, given all key logs."""
        keys = self.folder / KEYS_NAME
        write_private(keys, b"".join(log.read_bytes() for log in logs))
        files = [Path(run.capture) for each in runs.values() for run in each if run.capture]
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            found = dict(zip(files, pool.map(judgement, files, [keys] * len(files)), strict=True))
        return {
            pair: [_with(run, found[Path(run.capture)]) if run.capture else run for run in each]
            for pair, each in runs.items()
        }

    def close(self) -> None:
        """End all recordings."""
        self._recorder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def judgement(file: Path, keys: Path) -> Judgement:
    """Judge one capture, strictly: every datagram has to open, those inside of a relay's too."""
    from lab.verify.proof import Outcome, prove
    from lab.verify.reading import read

    ring, secrets = _keys(keys)
    proof = prove(read([file]), ring, strict=True, secrets=secrets)
    problem = "" if proof.outcome is Outcome.PROVEN else "; ".join(proof.reasons)
    if not problem and proof.opening is not None and proof.opening.carried_closed:
        problem = f"{proof.opening.carried_closed} datagrams that a relay carried stay closed"
    return Judgement(f"{proof.proven}/{proof.datagrams}", problem)


@functools.cache
def _keys(file: Path) -> tuple[KeyRing, Needles]:
    """Read a key log, once for all captures that a process judges."""
    ring = parse(file.read_text("ascii"))
    return ring, Needles.of(of_keys(ring))


def _with(run: Run, found: Judgement) -> Run:
    return replace(run, ciphertext=found.proven, unproven=found.problem)
