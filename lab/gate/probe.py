"""What a probe is, and the public hosts that probes talk to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from lab.gate.claims import Claim
from lab.gate.ground import Kit

ECHO: Final = "echo"
FILTER: Final = "filter"
CLASH: Final = "clash"
PRIME: Final = "prime"
STRANGER: Final = "stranger"
HOSTS: Final = {ECHO: 2, FILTER: 2, CLASH: 1, PRIME: 2, STRANGER: 1}
"""Public hosts of our probes, with their addresses. Rules that remember addresses mix up probes which share a host."""


class TooLateError(Exception):
    """A probe missed its moment, because the machine was busy: what it met would say nothing about the gateway."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to a gateway.

    The answers are words of the model, so that a reader sees at once what is claimed and what was met.
    """

    name: str
    claim: Callable[[Claim], str | None]
    """The answer that the claim promises; None when the question makes no sense there."""
    observe: Callable[[Kit], Awaitable[str]]
    """Ask the gateway. Raises TooLateError."""
    first: bool = False
    """It has to be asked before any packet has left."""
    lasting: bool = False
    """It is asked behind the twin with short lifetimes, and about its claim."""
    ours: bool = True
    """False: a program answers that we did not write."""
