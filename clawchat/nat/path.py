"""Which path a session uses, and how another one earns its place (RFC 9000 sections 8 and 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from clawchat.values.address import Path
from clawchat.values.limits import (
    ANTI_AMPLIFICATION,
    BLOCK,
    CHALLENGE_TRIES,
    OVERHEAD,
    PATH_LENGTHS,
    PATH_PROVEN,
    RELAY_PATIENCE,
)
from clawchat.values.timers import NEVER
from clawchat.wire.frames import CHALLENGE_BYTES, PathChallenge, PathResponse, encode

MAX_ANSWERS = 32
"""How many PATH_RESPONSEs wait to be sent; a peer that asks faster is not answered faster.

An end that asks a relay with two addresses what it sees of three ports sends twelve challenges at once, and a busy
relay reads them all in one turn. Without all answers a NAT that counts seems to take longer steps than it does.
"""


MAX_PROVEN = 8
"""How many paths are remembered that answered, the newest; more than one are seldom of use."""

PATH_PACKET = OVERHEAD + PATH_LENGTHS * BLOCK
"""The longest packet that challenges a path, bytes."""


PATH_PADDING: Final = tuple(bytes(blocks * BLOCK) for blocks in range(PATH_LENGTHS))
"""What may follow the frame, so that its packet has no length of its own; zeros are PADDING."""


def lengthened(frame: bytes, chance: int) -> bytes:
    """Return a frame with one of PATH_PADDING behind it, which a random byte chooses."""
    return frame + PATH_PADDING[chance % PATH_LENGTHS]


class PathFrame(NamedTuple):
    """An encoded frame that must travel by one path and no other; ``ttl`` None for the system's time to live."""

    path: Path
    frame: bytes
    ttl: int | None = None


class PathMachine:
    """Hold the path in use, challenge a new one, answer the peer's challenges.

    The peer's address changes under us when its NAT rebinds or it roams. A packet from elsewhere moves
    nothing by itself: only when it is authentic and the newest is its source challenged, at most three times
    the bytes it sent go there, and only its answer moves the session.

    With ``patience`` seconds nothing is challenged before the path in use was silent for so long. One of the
    two ends must have patience: where two paths work, each would follow the other to the one it just left. From one
    relay to another it needs little, since nobody leaves a relay that works.

    A path that has answered a probe of ours a moment ago needs no challenge: the first packet by it moves the session.
    """

    __slots__ = (
        "_answers",
        "_budget",
        "_candidate",
        "_due",
        "_patience",
        "_proven",
        "_random",
        "_token",
        "_tries",
        "current",
        "deadline",
        "waiting",
    )

    def __init__(self, path: Path, random: Callable[[int], bytes], *, patience: float = 0.0) -> None:
        self.current = path
        self.deadline = NEVER
        self.waiting = False  # whether there is a frame to take
        self._patience = patience
        self._random = random
        self._candidate: Path | None = None
        self._token = b""
        self._budget = 0
        self._tries = 0
        self._due = False
        self._answers: list[PathFrame] = []
        self._proven: dict[Path, float] = {}  # paths with when they answered

    def on_proven(self, path: Path, *, now: float) -> None:
        """Note that a path that is not in use has just answered a probe."""
        self._proven.pop(path, None)
        if len(self._proven) >= MAX_PROVEN:
            del self._proven[next(iter(self._proven))]
        self._proven[path] = now

    def on_newest(self, path: Path, size: int, *, now: float) -> bool:
        """Note the path that ``size`` bytes of authentic packets, the newest so far, came by; tell whether we moved."""
        if path == self.current:
            if self._candidate is not None:
                self._forget()
            return False
        if now - self._proven.get(path, -NEVER) <= PATH_PROVEN:
            self.adopt(path)
            return True
        if path == self._candidate:
            self._budget += size * ANTI_AMPLIFICATION
            return False
        self._candidate = path
        self._token = self._random(CHALLENGE_BYTES)
        self._budget = size * ANTI_AMPLIFICATION
        self._tries = CHALLENGE_TRIES
        patience = min(self._patience, RELAY_PATIENCE) if path.relayed and self.current.relayed else self._patience
        if patience:
            self._due = False
            self.deadline = now + patience
        else:
            self._due = self.waiting = True
        return False

    def on_challenge(self, challenge: PathChallenge, path: Path) -> None:
        """Answer a challenge on the path it came by, with the address it came from."""
        if len(self._answers) < MAX_ANSWERS:
            answer = encode(PathResponse(challenge.token, path.remote))
            self._answers.append(PathFrame(path, lengthened(answer, self._random(1)[0])))
            self.waiting = True

    def on_response(self, response: PathResponse) -> bool:
        """Move to the challenged path if this answers its challenge; tell whether it did."""
        if self._candidate is None or response.token != self._token:
            return False
        self.current = self._candidate
        self._forget()
        return True

    def adopt(self, path: Path) -> None:
        """Move to a path that was seen to work in some other way."""
        self.current = path
        self._proven.clear()
        self._forget()

    def _forget(self) -> None:
        self._candidate = None
        self._token = b""
        self._due = False
        self.deadline = NEVER

    def on_timeout(self) -> None:
        """Repeat an unanswered challenge, or give its path up."""
        self.deadline = NEVER
        if self._tries > 0:
            self._due = self.waiting = True
        else:
            self._forget()

    def take(self, cost: int, *, now: float, timeout: float) -> list[PathFrame]:
        """Return the frames to send now, each in a packet of ``cost`` bytes by its own path."""
        frames, self._answers = self._answers, []
        self.waiting = False
        if self._due and self._candidate is not None:
            self._due = False
            self._tries -= 1
            self.deadline = now + timeout
            if self._budget >= cost:
                self._budget -= cost
                challenge = encode(PathChallenge(self._token))
                frames.append(PathFrame(self._candidate, lengthened(challenge, self._random(1)[0])))
        return frames
