"""Probes of paths that are not in use: challenges sent of our own accord, and which of them were answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from clawchat.nat.path import PathFrame, lengthened
from clawchat.values.address import Path
from clawchat.values.limits import MAX_PROBES
from clawchat.values.timers import NEVER
from clawchat.wire.frames import CHALLENGE_BYTES, PathChallenge, PathResponse, encode

MAX_ASKED_BACK: Final = 64
"""How many paths are remembered by which the peer was asked back; more than it has ports that reach us."""


class Answered(NamedTuple):
    """A path that was seen to work both ways; ``rtt`` in seconds."""

    path: Path
    rtt: float


class _Probe(NamedTuple):
    path: Path
    sent_at: float


class Prober:
    """Send probes by given paths, and recognise their answers.

    A probe with a short time to live opens our own NAT and dies before the peer's. Its answer, if the peer
    was nearer than thought, is as good as any other.
    """

    __slots__ = ("_asked_back", "_outstanding", "_queue", "_random")

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._outstanding: dict[bytes, _Probe] = {}
        self._queue: list[tuple[Path, int | None]] = []
        self._asked_back: dict[Path, float] = {}

    @property
    def waiting(self) -> bool:
        """Tell whether there are probes to take."""
        return bool(self._queue)

    def probe(self, path: Path, ttl: int | None = None) -> None:
        """Queue a probe by a path, with a time to live or the system's."""
        if len(self._queue) < MAX_PROBES:
            self._queue.append((path, ttl))

    def ask_back(self, path: Path, pause: float, *, now: float) -> None:
        """Queue a probe by a path that the peer probes, unless there was one ``pause`` seconds ago."""
        if now - self._asked_back.get(path, -NEVER) < pause:
            return
        if len(self._asked_back) >= MAX_ASKED_BACK:
            self._asked_back.clear()
        self._asked_back[path] = now
        self.probe(path)

    def take(self, *, now: float) -> list[PathFrame]:
        """Return the probes to send now, each in a packet of its own."""
        frames: list[PathFrame] = []
        if not self._queue:
            return frames
        for path, ttl in self._queue:
            chance = self._random(CHALLENGE_BYTES + 1)
            token = chance[:CHALLENGE_BYTES]
            if len(self._outstanding) >= MAX_PROBES:
                del self._outstanding[next(iter(self._outstanding))]
            self._outstanding[token] = _Probe(path, now)
            frames.append(PathFrame(path, lengthened(encode(PathChallenge(token)), chance[-1]), ttl))
        self._queue.clear()
        return frames

    def on_response(self, response: PathResponse, *, now: float) -> Answered | None:
        """Return the path whose probe this answers, None if it answers none."""
        probe = self._outstanding.pop(response.token, None)
        return None if probe is None else Answered(probe.path, now - probe.sent_at)

    def forget(self) -> None:
        """Forget what is under way: a path was chosen."""
        self._outstanding.clear()
        self._queue.clear()
        self._asked_back.clear()
