"""What is claimed of a scene, whether it held, and how that is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.table import Table
from rich.text import Text

SCHEMA: Final = 1
"""Version of the JSON document: raised when a key changes its meaning or goes away."""

MET: Final = "ok"
MISSED: Final = "MISSED"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that has to be so: what was seen of it, and what was wanted."""

    what: str
    seen: str | float
    wanted: str
    holds: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"claim": self.what, "seen": self.seen, "wanted": self.wanted, "holds": self.holds}


def at_most(what: str, seconds: float, limit: float) -> Claim:
    """Claim that something took no longer than so many seconds."""
    return Claim(what, round(seconds, 3), f"at most {limit:g} s", seconds <= limit)


def equal(what: str, seen: str, wanted: str) -> Claim:
    """Claim that something is what it should be."""
    return Claim(what, seen, wanted, seen == wanted)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one scene went; ``figures`` are worth knowing and nothing is claimed of them."""

    scene: str
    claims: tuple[Claim, ...]
    figures: dict[str, float | str]
    seconds: float
    trouble: str = ""
    """Why it broke off, if it did."""

    @property
    def held(self) -> bool:
        """Tell whether everything that was claimed is so."""
        return not self.trouble and all(claim.holds for claim in self.claims)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "scene": self.scene,
            "held": self.held,
            "claims": [claim.as_json() for claim in self.claims],
            "figures": self.figures,
            "seconds": round(self.seconds, 1),
            "trouble": self.trouble,
            "again": f"python -m lab scene {self.scene}",
        }


def document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return outcomes as one document."""
    missed = sum(not outcome.held for outcome in outcomes)
    return {
        "schema": SCHEMA,
        "report": "scenes",
        "scenes": [outcome.as_json() for outcome in outcomes],
        "summary": {"scenes": len(outcomes), "held": len(outcomes) - missed, "missed": missed},
    }


def table(outcomes: Sequence[Outcome]) -> Table:
    """Return one row a claim."""
    made = Table(title="scenes", title_justify="left")
    for title in ("scene", "claim", "seen", "wanted", ""):
        made.add_column(title, no_wrap=title in {"scene", ""})
    for outcome in outcomes:
        for claim in outcome.claims:
            verdict = Text(MET, "green") if claim.holds else Text(MISSED, "bold red")
            made.add_row(outcome.scene, claim.what, str(claim.seen), claim.wanted, verdict)
        for name, value in outcome.figures.items():
            made.add_row(outcome.scene, name, str(value), "", "")
        if outcome.trouble:
            made.add_row(outcome.scene, outcome.trouble, "", "", Text(MISSED, "bold red"))
    return made
