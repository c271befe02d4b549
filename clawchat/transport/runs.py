"""Records of what was sent: runs of consecutive packets, cut only where an ACK or a loss cuts them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import NamedTuple


class StreamRun(NamedTuple):
    """Consecutive bytes of one stream; ``fin`` says that the stream ends with them."""

    stream: int
    offset: int
    length: int
    fin: bool


class SentRun:
    """Packets with consecutive numbers that were sent together, normally one batch.

    A bulk run has ``chunk`` and ``run``: its packet i carries the bytes of ``run`` from ``i * chunk`` on,
    and the last packet the rest. Anything else that a run carries stands in ``frames``, which nobody
    here looks into and which belongs to the first packet. ``size`` is the bytes of each datagram.
    """

    __slots__ = ("chunk", "count", "eliciting", "first", "frames", "probe", "run", "sent_at", "size", "stop")

    def __init__(  # noqa: PLR0913 - a record; made once a batch, so without the cost of a dataclass
        self,
        first: int,
        count: int,
        sent_at: float,
        size: int,
        *,
        eliciting: bool = True,
        chunk: int = 0,
        run: StreamRun | None = None,
        frames: tuple[object, ...] = (),
        probe: bool = False,
    ) -> None:
        self.first = first
        self.count = count
        self.stop = first + count
        self.sent_at = sent_at
        self.size = size
        self.eliciting = eliciting
        self.chunk = chunk
        self.run = run
        self.frames = frames
        self.probe = probe

    def split(self, number: int) -> tuple[SentRun, SentRun]:
        """Cut before packet ``number``, which lies inside the run; the run itself stays as it is."""
        return self._piece(self.first, number), self._piece(number, self.stop)

    def _piece(self, first: int, stop: int) -> SentRun:
        run = self.run
        if run is not None and self.chunk:
            start = (first - self.first) * self.chunk
            last = stop == self.stop
            length = run.length - start if last else (stop - first) * self.chunk
            run = StreamRun(run.stream, run.offset + start, length, run.fin and last)
        elif first != self.first:
            run = None
        return SentRun(
            first,
            stop - first,
            self.sent_at,
            self.size,
            eliciting=self.eliciting,
            chunk=self.chunk,
            run=run,
            frames=self.frames if first == self.first else (),
            probe=self.probe,
        )

    def __repr__(self) -> str:
        return f"SentRun({self.first}..{self.stop - 1}, {self.run}, frames={len(self.frames)}, sent_at={self.sent_at})"


class RunList:
    """Sent runs in ascending order of their numbers.

    Everything costs O(log n) and the runs concerned, never their packets.
    """

    __slots__ = ("_firsts", "_runs")

    def __init__(self) -> None:
        self._firsts: list[int] = []  # the first number of each run, for bisect
        self._runs: list[SentRun] = []

    def append(self, run: SentRun) -> None:
        """Add a run above all others."""
        self._firsts.append(run.first)
        self._runs.append(run)

    def extend(self, runs: list[SentRun]) -> None:
        """Add ascending runs above all others."""
        self._firsts.extend([run.first for run in runs])
        self._runs.extend(runs)

    def take(self, low: int, high: int) -> list[SentRun]:
        """Remove the packets from ``low`` to ``high``, both included, and return them in ascending order."""
        firsts, runs = self._firsts, self._runs
        start = bisect_right(firsts, low) - 1
        if start < 0 or runs[start].stop <= low:
            start += 1
        stop = bisect_right(firsts, high, start)
        if start == stop:
            return []
        taken = runs[start:stop]
        kept: list[SentRun] = []
        if taken[0].first < low:
            before, taken[0] = taken[0].split(low)
            kept.append(before)
        if taken[-1].stop > high + 1:
            taken[-1], after = taken[-1].split(high + 1)
            kept.append(after)
        if kept:
            runs[start:stop] = kept
            firsts[start:stop] = [run.first for run in kept]
        else:
            del runs[start:stop], firsts[start:stop]
        return taken

    def take_front(self, count: int) -> list[SentRun]:
        """Remove and return the ``count`` lowest runs."""
        taken = self._runs[:count]
        del self._runs[:count], self._firsts[:count]
        return taken

    def below(self, number: int) -> int:
        """Count the runs that begin below ``number``."""
        return bisect_left(self._firsts, number)

    def lowest(self) -> int:
        """Return the lowest number; IndexError when there is none."""
        return self._firsts[0]

    def __iter__(self) -> Iterator[SentRun]:
        return iter(self._runs)

    def __getitem__(self, index: int) -> SentRun:
        return self._runs[index]

    def __len__(self) -> int:
        return len(self._runs)
