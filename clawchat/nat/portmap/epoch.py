"""Tell from a router's own clock whether it has restarted, and with that forgotten what it granted."""

from __future__ import annotations

from typing import Final

SLACK: Final = 2
"""Seconds by which two clocks may differ for no reason (RFC 6886 section 3.6, RFC 6887 section 8.5)."""

RATE: Final = 16
"""One clock may run this share faster than the other (RFC 6887 section 8.5); stricter than RFC 6886's 7/8."""


class EpochWatch:
    """Compare the seconds a router says it has been up with those that passed here."""

    __slots__ = ("_client", "_server")

    def __init__(self) -> None:
        self._server: int | None = None
        self._client = 0.0

    def restarted(self, epoch: int, *, now: float) -> bool:
        """Take an epoch in; tell whether the router has lost its state since the last one."""
        before, at = self._server, self._client
        self._server, self._client = epoch, now
        if before is None:
            return False
        if epoch < before - 1:  # answers may overtake each other by a second
            return True
        here, there = now - at, epoch - before
        return here + SLACK < there - there / RATE or there + SLACK < here - here / RATE
