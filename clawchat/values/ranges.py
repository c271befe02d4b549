"""Sets of integers kept as ranges: packet numbers received, stream bytes acknowledged or lost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class RangeSet:
    """A set of integers, held as disjoint half-open ranges ``(start, stop)`` in ascending order.

    Ranges that touch are one range. Adding at the end costs O(1), everything else O(log n) and one
    move of the list. An empty range (``start >= stop``) changes nothing.
    """

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def add(self, start: int, stop: int) -> None:
        """Add every integer from ``start`` up to but not including ``stop``."""
        if start >= stop:
            return
        starts, stops = self._starts, self._stops
        if not stops or start > stops[-1]:
            starts.append(start)
            stops.append(stop)
        elif start >= starts[-1]:
            stops[-1] = max(stops[-1], stop)
        else:
            first = bisect_left(stops, start)
            after = bisect_right(starts, stop)
            if first < after:
                start = min(start, starts[first])
                stop = max(stop, stops[after - 1])
            starts[first:after] = (start,)
            stops[first:after] = (stop,)

    def subtract(self, start: int, stop: int) -> None:
        """Remove every integer from ``start`` up to but not including ``stop``."""
        if start >= stop:
            return
        starts, stops = self._starts, self._stops
        first = bisect_right(stops, start)
        after = bisect_left(starts, stop)
        if first >= after:
            return
        kept_starts: list[int] = []
        kept_stops: list[int] = []
        if starts[first] < start:
            kept_starts.append(starts[first])
            kept_stops.append(start)
        if stops[after - 1] > stop:
            kept_starts.append(stop)
            kept_stops.append(stops[after - 1])
        starts[first:after] = kept_starts
        stops[first:after] = kept_stops

    def gaps(self, start: int, stop: int) -> list[tuple[int, int]]:
        """List the ranges between ``start`` and ``stop`` that are not in the set."""
        starts, stops = self._starts, self._stops
        index = bisect_right(stops, start)
        found: list[tuple[int, int]] = []
        while start < stop:
            if index == len(starts) or starts[index] >= stop:
                found.append((start, stop))
                break
            if starts[index] > start:
                found.append((start, starts[index]))
            start = stops[index]
            index += 1
        return found

    def covers(self, start: int, stop: int) -> bool:
        """Tell whether every integer from ``start`` up to but not including ``stop`` is in the set."""
        if start >= stop:
            return True
        index = bisect_right(self._starts, start) - 1
        return index >= 0 and self._stops[index] >= stop

    def keep_newest(self, count: int) -> None:
        """Forget the lowest ranges until at most ``count`` are left: the bound on memory."""
        excess = len(self._starts) - count
        if excess > 0:
            del self._starts[:excess]
            del self._stops[:excess]

    def lowest(self) -> tuple[int, int]:
        """Return the lowest range; IndexError when the set is empty."""
        return self._starts[0], self._stops[0]

    def last(self, count: int) -> list[tuple[int, int]]:
        """List the ``count`` highest ranges, the highest first."""
        return list(zip(self._starts[: -count - 1 : -1], self._stops[: -count - 1 : -1], strict=True))

    def size(self) -> int:
        """Count the integers in the set."""
        return sum(self._stops) - sum(self._starts)

    def clear(self) -> None:
        """Remove everything."""
        self._starts.clear()
        self._stops.clear()

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self._starts, value) - 1
        return index >= 0 and value < self._stops[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    def __reversed__(self) -> Iterator[tuple[int, int]]:
        return zip(reversed(self._starts), reversed(self._stops), strict=True)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __len__(self) -> int:
        """Count the ranges."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and self._starts == other._starts and self._stops == other._stops

    __hash__ = None  # type: ignore[assignment]  # a mutable value

    def __repr__(self) -> str:
        return "RangeSet({" + ", ".join(f"{start}..{stop - 1}" for start, stop in self) + "})"
