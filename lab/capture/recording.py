"""Start the recording process, and tell it what goes into which file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from lab.netns import NamespaceError, end

CHECKOUT: Final = Path(__file__).resolve().parents[2]
"""The folder from which `lab` can be imported."""

MAX_FILE_BYTES: Final = 256 << 20
"""A file ends here, unless somebody wants more of it; what did not fit counts as lost."""


SIDES: Final = ("lan", "wan")
"""The two sides of a gateway."""


@dataclass(frozen=True, slots=True)
class Point:
    """A device that is listened to; the name and the comment stand in the file.

    ``arriving``: only what arrives there, which at a router's devices is every packet once, lost ones as well.
    """

    namespace: str
    device: str
    name: str
    comment: str = ""
    arriving: bool = False


def both_sides(
    namespace: Path, node: str, *, claimed: str, cell: str = "", devices: Sequence[str] = SIDES
) -> list[Point]:
    """Return the capture points of a gateway: its inside and its outside, under their names in the laboratory.

    ``devices`` are those two as the namespace calls them; ``claimed`` is the NAT that it is said to be.
    """
    about = f"node {node}; claimed {claimed}" + (f"; cell {cell}" if cell else "")
    return [
        Point(str(namespace), device, f"{node} {side}", f"{about}; side {side}")
        for side, device in zip(SIDES, devices, strict=True)
    ]


class Ended(NamedTuple):
    """What is in a finished recording; lost frames came by and are not."""

    file: Path
    frames: int
    lost: int


class Recorder:
    """The recording process; it ends with this object, or with this process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.capture.recorder"],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def record(
        self, file: Path, points: Sequence[Point], *, comment: str = "", max_bytes: int = MAX_FILE_BYTES
    ) -> None:
        """Begin a recording; what passes after this returns is in it. Raises NamespaceError."""
        said = [asdict(point) for point in points]
        self._ask({"do": "record", "file": str(file), "comment": comment, "limit": max_bytes, "points": said})

    def end(self, file: Path) -> Ended:
        """End a recording; all that has passed before is in it. Raises NamespaceError."""
        answer = self._ask({"do": "end", "file": str(file)})
        return Ended(file, answer["frames"], answer["lost"])

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or self._process.stdout is None:
            raise NamespaceError("the recorder has no pipes")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise NamespaceError("the recorder has ended; its own words stand above") from None
        line = self._process.stdout.readline()
        if not line:
            raise NamespaceError("the recorder has ended; its own words stand above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise NamespaceError(f"cannot record {request['file']}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End what is still recorded, and the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            end(self._process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
