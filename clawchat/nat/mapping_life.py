"""How long a NAT keeps one mapping of ours, however busy it is: some carriers end each after a minute."""

from __future__ import annotations

from typing import Final

from clawchat.values.address import Address

AGREE: Final = 0.25
"""Two lives in a row that differ by no more than this share are a habit of the NAT; otherwise it was chance."""


class MappingLife:
    """Watch how one port of ours is seen from outside, and for how long it stays the same."""

    __slots__ = ("_lives", "_port", "_seen", "_since")

    def __init__(self) -> None:
        self._port: int | None = None
        self._seen: Address | None = None
        self._since = 0.0
        self._lives: list[float] = []

    def on_seen(self, port: int, observed: Address, *, now: float) -> bool:
        """Take note of what a peer saw of a port (its handle); tell whether a mapping has ended with a habit shown."""
        if port == self._port and observed == self._seen:
            return False
        ended = False
        if port == self._port and self._seen is not None and observed.host == self._seen.host:
            self._lives = [*self._lives[-1:], now - self._since]
            ended = True
        self._port, self._seen, self._since = port, observed, now
        return ended and self.period is not None

    @property
    def period(self) -> float | None:
        """Return how long mappings live, in seconds, None if they show no habit."""
        if len(self._lives) < 2:  # noqa: PLR2004 - one is no habit
            return None
        shorter, longer = sorted(self._lives)
        return shorter if longer - shorter <= AGREE * longer else None
