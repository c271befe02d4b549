"""The replay window: which packet numbers were received already (RFC 6479's purpose, on one big integer)."""

from __future__ import annotations

from functools import cache

from clawchat.values.limits import REPLAY_WINDOW


@cache
def _mask(size: int) -> int:
    """Make the mask of a window once for all sessions: it has as many bits as the window packets."""
    return (1 << size) - 1


class ReplayWindow:
    """Remember the received packet numbers of the last ``size``; everything older counts as received.

    ``check`` before a packet is opened, ``mark`` after it proved authentic.
    """

    __slots__ = ("_mask", "_seen", "_size", "top")

    def __init__(self, size: int = REPLAY_WINDOW) -> None:
        self.top = -1
        """The highest number marked, -1 at first."""
        self._size = size
        self._mask = _mask(size)
        self._seen = 0  # bit i stands for the number top - i

    def check(self, number: int) -> bool:
        """Tell whether ``number`` is new: not marked yet and not older than the window."""
        behind = self.top - number
        return behind < 0 or (behind < self._size and not self._seen >> behind & 1)

    def check_run(self, first: int, count: int) -> bool:
        """Tell whether ``count`` numbers from ``first`` on are all above ``top``.

        False means only that each has to be checked by itself.
        """
        return count > 0 and first > self.top

    def mark(self, number: int) -> None:
        """Remember that ``number`` was received; marking twice changes nothing."""
        self.mark_run(number, 1)

    def mark_run(self, first: int, count: int) -> None:
        """Remember that ``count`` numbers from ``first`` on were received."""
        last = first + count - 1
        ahead = last - self.top
        if ahead > 0:
            self._seen = self._seen << ahead & self._mask if ahead < self._size else 0
            self.top = last
        behind = self.top - last
        if behind < self._size:
            self._seen |= ((1 << count) - 1) << behind & self._mask
