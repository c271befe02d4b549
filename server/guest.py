"""Who is here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guest:
    """A client that is here: the session's id, the invitation it came by, and since when (Unix seconds)."""

    session: int
    name: str
    since: float
