"""The recording process: many devices in, many files out.

Standard input is a line of JSON for each request, standard output one for each answer::

    {"do": "record", "file": …, "comment": …, "limit": bytes, "points": [
        {"namespace", "device", "name", "comment", "arriving"} …]}
    {"do": "end", "file": …}                        what came before that moment is in the file when the answer comes

Answers are ``{"file", "frames", "lost"}``, or ``{"error"}``. At the end of the input all recordings end. Frames are
never cut; the limit is what keeps a file small, and what it keeps out counts as lost.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from lab.capture.pcapng import Writer
from lab.capture.tap import Frame, Tap
from lab.netns import NamespaceError

READ_BYTES: Final = 1 << 16


@dataclass(slots=True)
class _Listened:
    """A capture point of a recording, and what came by."""

    tap: Tap
    number: int
    received: int = 0
    left_out: int = 0
    """Frames that the limit kept out of the file."""


@dataclass(slots=True)
class _Recording:
    stream: BinaryIO
    writer: Writer
    limit: int
    points: list[_Listened] = field(default_factory=list)

    def write(self, point: _Listened, frame: Frame) -> None:
        point.received += 1
        if self.writer.size + len(frame.data) > self.limit:
            point.left_out += 1
            return
        self.writer.packet(point.number, frame.nanoseconds, frame.data, direction=frame.direction)

    def end(self) -> dict[str, int]:
        """Take in what has come until now, write down how much was lost, and close everything."""
        now = time.time_ns()
        lost = 0
        for point in self.points:
            for frame in point.tap.frames(until=now):
                self.write(point, frame)
            missing = point.tap.count_lost()
            point.received += missing
            self.writer.statistics(point.number, now, received=point.received, lost=missing + point.left_out)
            lost += missing + point.left_out
            point.tap.close()
        self.stream.close()
        return {"frames": sum(point.received for point in self.points), "lost": lost}


class Recorder:
    """All recordings of this process."""

    def __init__(self) -> None:
        self._recordings: dict[str, _Recording] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, requests: int) -> None:
        """Record until this descriptor ends."""
        self._selector.register(requests, selectors.EVENT_READ)
        unread = b""
        while True:
            for key, _ in self._selector.select():
                if key.fd != requests:
                    recording, point = key.data
                    for frame in point.tap.frames(until=time.time_ns()):
                        recording.write(point, frame)
                    continue
                said = os.read(requests, READ_BYTES)
                if not said:
                    self._end_all()
                    return
                *lines, unread = (unread + said).split(b"\n")
                for line in lines:
                    print(json.dumps(self._answer(json.loads(line))), flush=True)
                break  # what the others have to say may have changed

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        file = request["file"]
        try:
            if request["do"] == "end":
                return {"file": file, **self._end(file)}
            self._record(request)
        except (OSError, NamespaceError) as error:
            return {"error": str(error)}
        return {"file": file, "frames": 0, "lost": 0}

    def _record(self, request: dict[str, Any]) -> None:
        file = request["file"]
        stream = Path(file).open("wb")  # noqa: SIM115 - open for as long as the recording
        recording = _Recording(stream, Writer(stream, comment=request["comment"]), request["limit"])
        self._recordings[file] = recording
        try:
            for said in request["points"]:
                number = recording.writer.interface(said["name"], comment=said["comment"])
                point = _Listened(Tap(Path(said["namespace"]), said["device"], arriving=said["arriving"]), number)
                recording.points.append(point)
                self._selector.register(point.tap, selectors.EVENT_READ, (recording, point))
        except (OSError, NamespaceError):
            self._end(file)
            raise

    def _end(self, file: str) -> dict[str, int]:
        recording = self._recordings.pop(file)
        for point in recording.points:
            self._selector.unregister(point.tap)
        return recording.end()

    def _end_all(self) -> None:
        for file in list(self._recordings):
            with contextlib.suppress(OSError):
                self._end(file)


def main() -> None:
    """Do what standard input asks for."""
    Recorder().run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
