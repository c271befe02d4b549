"""Findings of the gate, and how they are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

SCHEMA: Final = 1
"""Version of the JSON document: raised when a key changes its meaning or goes away."""

DISHONEST: Final = "lab dishonest"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one probe claimed and met at one gateway."""

    probe: str
    claimed: str
    observed: str
    ours: bool = True
    """False: a program said so that we did not write."""

    @property
    def honest(self) -> bool:
        """Tell whether the gateway is what it claims, as far as this probe can see."""
        return self.claimed == self.observed


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings about one gateway."""

    title: str
    findings: tuple[Finding, ...]

    @property
    def lies(self) -> tuple[Finding, ...]:
        """Return the findings that contradict the claim."""
        return tuple(one for one in self.findings if not one.honest)

    @property
    def honest(self) -> bool:
        """Tell whether every probe met what is claimed; a gateway that nobody probed is not honest."""
        return bool(self.findings) and not self.lies


@dataclass(frozen=True, slots=True)
class Report:
    """What the gate found in one backend."""

    backend: str
    verdicts: tuple[Verdict, ...]
    missing: tuple[str, ...] = ()
    """Tools that this machine lacks, so that their opinion is missing."""
    seconds: float = 0.0

    @property
    def honest(self) -> bool:
        """Tell whether the laboratory may be believed."""
        return bool(self.verdicts) and all(verdict.honest for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "schema": SCHEMA,
            "report": "gate",
            "backend": self.backend,
            "honest": self.honest,
            "seconds": round(self.seconds, 2),
            "missing_tools": list(self.missing),
            "gateways": [
                {
                    "gateway": verdict.title,
                    "honest": verdict.honest,
                    "findings": [
                        {
                            "probe": one.probe,
                            "by": "us" if one.ours else "others",
                            "claimed": one.claimed,
                            "observed": one.observed,
                            "honest": one.honest,
                        }
                        for one in verdict.findings
                    ],
                }
                for verdict in self.verdicts
            ],
        }


def table(verdicts: Sequence[Verdict]) -> Table:
    """Return one line a gateway: what it proved to be, and how many probes said so."""
    made = Table(title="honesty gate", title_justify="left", expand=False)
    for title in ("gateway", "mapping", "filtering", "ports"):
        made.add_column(title, no_wrap=True)
    made.add_column("probes", justify="right")
    made.add_column("verdict")
    for verdict in verdicts:
        met = {one.probe: one.observed for one in verdict.findings}
        count = f"{len(verdict.findings) - len(verdict.lies)}/{len(verdict.findings)}"
        words = Text("honest", "green") if verdict.honest else Text(_words(verdict.lies), "bold red")
        made.add_row(
            verdict.title, met.get("mapping", "–"), met.get("filtering", "–"), met.get("ports", "–"), count, words
        )
    return made


def _words(lies: Sequence[Finding]) -> str:
    return "; ".join(f"{one.probe}: claimed {one.claimed}, met {one.observed}" for one in lies) or "nobody looked"
