"""The matrix over the simulated internet: the endpoints are real, everything between them is a function."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import product

from lab.matrix.expected import Verdict
from lab.matrix.result import CellResult, Matrix
from lab.sim.cell import SETTLE, Cell


def try_simulated(names: Sequence[str], *, seed: int = 1) -> Matrix:
    """Try every ordered pair of these presets."""
    began = time.monotonic()
    cells = tuple(_one(client, server, seed) for client, server in product(names, names))
    return Matrix("sim", cells, time.monotonic() - began)


def _one(client: str, server: str, seed: int) -> CellResult:
    cell = Cell(client, server, seed=seed).run()
    opened = cell.client.opened_at
    return CellResult(
        client,
        server,
        Verdict(cell.verdict),
        str(cell.reason),
        None if opened is None else opened - SETTLE,
        None if math.isnan(cell.took) else cell.took,
    )
