"""A service that keeps two directories in step, and takes its time: what happens in one happens later in the other.

python -m lab.scenes.ends.copier ONE OTHER SECONDS
"""

from __future__ import annotations

import contextlib
import heapq
import pathlib
import sys
import time
from typing import Final

LOOK: Final = 0.1
"""How often both directories are looked at, seconds."""

Contents = dict[str, bytes]


def contents(folder: pathlib.Path) -> Contents:
    """Read all files of a folder but hidden ones, which are not finished."""
    found: Contents = {}
    for path in folder.iterdir():
        if not path.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                found[path.name] = path.read_bytes()
    return found


class Copier:
    """Two folders, what is known to be in each, and the changes on their way to the other."""

    def __init__(self, folders: tuple[pathlib.Path, pathlib.Path], latency: float) -> None:
        self._folders = folders
        self._latency = latency
        self._known: tuple[Contents, Contents] = ({}, {})
        self._on_the_way: list[tuple[float, int, int, str, bytes | None]] = []
        self._count = 0

    def look(self, *, now: float) -> None:
        """Notice what has changed since the last look, and bring over what has been on its way for long enough."""
        for side, folder in enumerate(self._folders):
            found, known = contents(folder), self._known[side]
            for name in found.keys() | known.keys():
                if found.get(name) != known.get(name):
                    self._count += 1
                    change = (now + self._latency, self._count, 1 - side, name, found.get(name))
                    heapq.heappush(self._on_the_way, change)
            known.clear()
            known.update(found)
        while self._on_the_way and self._on_the_way[0][0] <= now:
            _, _, side, name, data = heapq.heappop(self._on_the_way)
            self._apply(side, name, data)

    def _apply(self, side: int, name: str, data: bytes | None) -> None:
        target, known = self._folders[side] / name, self._known[side]
        if data is None:
            known.pop(name, None)
            target.unlink(missing_ok=True)
            return
        known[name] = data
        unfinished = target.with_name(f".{name}.part")
        unfinished.write_bytes(data)
        unfinished.replace(target)


def main() -> None:
    """Copy until killed."""
    copier = Copier((pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])), float(sys.argv[3]))
    while True:
        copier.look(now=time.monotonic())
        time.sleep(LOOK)


if __name__ == "__main__":
    main()
