"""What the matrix found: runs, the cells that they make up, and all of it as plain values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from clawchat.nat.reasons import Reason
from lab.matrix.expected import Verdict
from lab.strategies.expected import because, expected
from lab.strategies.strategy import Strategy

SCHEMA: Final = 2
"""Version of the JSON document: raised when a key changes its meaning or goes away."""


FORGIVEN: Final = 3
"""One run in so many may guess ports in vain."""


class Moment(NamedTuple):
    """Something that happened, so many seconds after the client began."""

    at: float
    what: str


@dataclass(frozen=True, slots=True)
class Proof:
    """What became of pings that were asked while the client was cut off from every relay."""

    asked: int
    answered: int

    def fits(self, verdict: Verdict) -> bool:
        """Tell whether it agrees: on a direct path they are answered, and on no other one."""
        return (self.answered > 0) is (verdict is Verdict.DIRECT)

    def __str__(self) -> str:
        return f"{self.answered} of {self.asked} pings answered while the relays were cut off"


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one session."""

    verdict: Verdict
    reason: str
    """Why the path is what it is, in the words of the end that knows."""
    opened_after: float | None = None
    """Seconds from the first packet until the session was up."""
    first_byte_after: float | None = None
    """Seconds from the first packet until something that was sent through the session was answered."""
    direct_after: float | None = None
    """Seconds from the session's beginning until it was direct."""
    strategy: str = ""
    """What opened the direct path."""
    packets: tuple[int, int] | None = None
    """How many the client's end and the server's end sent until then, relays and pings included."""
    proof: Proof | None = None
    broken: bool = False
    """True: a program failed otherwise than for want of a path, so that the verdict says nothing."""
    timeline: tuple[Moment, ...] = ()
    capture: str | None = None
    """The file in which the session's packets are."""
    ciphertext: str | None = None
    """How many of them were proven to be ciphertext: n/n."""
    unproven: str = ""
    """What keeps the capture from being a proof that everything is ciphertext; empty if nothing does."""

    @property
    def missed(self) -> bool:
        """Tell whether ports were guessed in vain, which chance does to the best of guesses."""
        return self.verdict is Verdict.RELAY and self.reason == str(Reason.GUESS_MISSED)

    @property
    def sound(self) -> bool:
        """Tell whether the verdict can be believed."""
        return not self.broken and not self.unproven and (self.proof is None or self.proof.fits(self.verdict))


@dataclass(frozen=True, slots=True)
class CellResult:
    """All runs of one pair, at least one; `client` and `server` are the NATs in front of the two."""

    client: str
    server: str
    runs: tuple[Run, ...]
    by: Strategy = Strategy.CLAWCHAT
    """Whose way to punch it was."""

    @property
    def expected(self) -> Verdict:
        """Return what it had to be."""
        return expected(self.by, self.client, self.server)

    @property
    def because(self) -> str:
        """Say why no more than the expected verdict is expected."""
        return because(self.by, self.client, self.server)

    def is_unexpected(self, run: Run) -> bool:
        """Tell whether a run came out as something else, be it better or worse, or says nothing.

        Of three runs one may guess in vain.
        """
        if not run.sound or run.verdict is self.expected:
            return not run.sound
        return not run.missed or FORGIVEN * sum(each.missed for each in self.runs) > len(self.runs)

    @property
    def shown(self) -> Run:
        """Return the run that speaks for the cell: the first unexpected one, else the first that is as expected."""
        as_expected = (run for run in self.runs if run.verdict is self.expected)
        return next(filter(self.is_unexpected, self.runs), next(as_expected, self.runs[0]))

    @property
    def verdict(self) -> Verdict:
        """Return what it was."""
        return self.shown.verdict

    @property
    def unexpected(self) -> bool:
        """Tell whether any run was."""
        return self.is_unexpected(self.shown)

    @property
    def met(self) -> str:
        """Say in a few words what came out, and what should have."""
        run = self.shown
        if run.broken:
            return "broken"
        if run.verdict is not self.expected:
            return f"{run.verdict}, not {self.expected}"
        if run.unproven:
            return f"{run.verdict}, not proven to be ciphertext ({run.unproven})"
        return str(run.verdict) if run.sound else f"{run.verdict} without proof"

    def again(self, backend: str) -> str:
        """Return the command that repeats this cell."""
        rival = f" --strategy {self.by}" if self.by.rival else ""
        return f"python -m lab matrix --backend {backend}{rival} --pair {self.client},{self.server}"

    def as_json(self, backend: str) -> dict[str, Any]:
        """Return the cell as plain values."""
        run = self.shown
        return {
            "client": self.client,
            "server": self.server,
            "verdict": str(self.verdict),
            "expected": str(self.expected),
            "because": self.because,
            "unexpected": self.unexpected,
            "broken": run.broken,
            "met": self.met,
            "reason": run.reason,
            "strategy": run.strategy,
            "opened_after_seconds": rounded(run.opened_after),
            "first_byte_after_seconds": rounded(run.first_byte_after),
            "direct_after_seconds": rounded(run.direct_after),
            "packets": None if run.packets is None else dict(zip(("client", "server"), run.packets, strict=True)),
            "proof": None if run.proof is None else {"asked": run.proof.asked, "answered": run.proof.answered},
            "runs": len(self.runs),
            "unexpected_runs": sum(map(self.is_unexpected, self.runs)),
            "missed_runs": sum(run.missed for run in self.runs),
            "verdicts": {str(one): sum(run.verdict is one for run in self.runs) for one in Verdict},
            "first_byte": spread(self.runs, lambda run: run.first_byte_after),
            "direct": spread(self.runs, lambda run: run.direct_after),
            "packets_sent": spread(self.runs, lambda run: sum(run.packets) if run.packets else None),
            "capture": run.capture,
            "ciphertext": run.ciphertext,
            "unproven": run.unproven,
            "timeline": [{"at": round(one.at, 3), "what": one.what} for one in run.timeline],
            "again": self.again(backend),
        }


@dataclass(frozen=True, slots=True)
class Matrix:
    """All cells of one backend."""

    backend: str
    cells: tuple[CellResult, ...]
    seconds: float = 0.0
    by: Strategy = Strategy.CLAWCHAT

    @property
    def unexpected(self) -> tuple[CellResult, ...]:
        """Return the cells that are not as they should be."""
        return tuple(cell for cell in self.cells if cell.unexpected)

    def count(self, verdict: Verdict) -> int:
        """Count the cells of a verdict."""
        return sum(cell.verdict is verdict for cell in self.cells)

    def as_json(self) -> dict[str, Any]:
        """Return the matrix as plain values."""
        return {
            "schema": SCHEMA,
            "report": "matrix",
            "backend": self.backend,
            "by": str(self.by),
            "seconds": round(self.seconds, 2),
            "summary": {
                "cells": len(self.cells),
                "unexpected": len(self.unexpected),
                **{str(verdict): self.count(verdict) for verdict in Verdict},
            },
            "cells": [cell.as_json(self.backend) for cell in self.cells],
        }

    def summary(self) -> str:
        """Return the last line."""
        counts = ", ".join(f"{self.count(verdict)} {verdict}" for verdict in Verdict)
        runs = max((len(cell.runs) for cell in self.cells), default=1)
        times = f", {runs} runs each," if runs > 1 else ""
        whose = f" by {self.by}" if self.by.rival else ""
        told = f"{len(self.cells)} cells of {self.backend}{whose}{times} in {self.seconds:.1f} s"
        return f"{told}: {counts}; {len(self.unexpected)} unexpected{self._ciphertext()}"

    def _ciphertext(self) -> str:
        runs = [run for cell in self.cells for run in cell.runs if run.ciphertext is not None]
        if not runs:
            return ""
        proven, all_ = (
            sum(numbers) for numbers in zip(*(map(int, str(run.ciphertext).split("/")) for run in runs), strict=True)
        )
        captures = f"{sum(not run.unproven for run in runs)} of {len(runs)} captures"
        return f"; {proven} of {all_} datagrams in {captures} proven to be ciphertext"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that so many percent of all do not exceed."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100), 1) - 1]


def spread(runs: Iterable[Run], of: Callable[[Run], float | None]) -> dict[str, Any]:
    """Return the middle and the bad end of a figure over all runs that have it."""
    values = [value for run in runs if (value := of(run)) is not None]
    if not values:
        return {"count": 0, "p50": None, "p95": None}
    return {
        "count": len(values),
        "p50": round(percentile(values, 50), 3),
        "p95": round(percentile(values, 95), 3),
    }


def rounded(seconds: float | None) -> float | None:
    """Return seconds to the millisecond."""
    return None if seconds is None else round(seconds, 3)
