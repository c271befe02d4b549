"""One session of the matrix over real machines, from the client's start to its farewell.

    connecting → looking → doubting → cut off → leaving → over

It looks for a direct path until it has one, or until the client says that there is none; then the router cuts the
client's gateway off from all relays, and what is answered after that came directly.
"""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clawchat.nat.reasons import Reason
from lab.backends.machine import World
from lab.matrix.expected import Pair, Verdict, expected
from lab.matrix.programs import Client, packets_sent
from lab.matrix.result import Moment, Proof, Run

CONNECT_SECONDS: Final = 12.0
"""How long a client has to connect."""

DIRECT_SECONDS: Final = 12.0
"""How long it then has to become direct; the longest guesses take half of that."""

START_SECONDS: Final = 20.0
"""How long the program may take to begin on a busy machine."""

RELAY_SECONDS: Final = 4.0
"""The same where a relay is the best that can be had: all ports have been tried twice by then."""

DOUBT_SECONDS: Final = 2.0
"""How long a path is watched that is said to stay on the relay."""

OVER: Final = frozenset({Reason.BOTH_SYMMETRIC, Reason.RELAY_ONLY, Reason.UDP_BLOCKED, Reason.PEER_BLOCKED})
"""Reasons after which a client tries nothing more for a long time."""

PINGS: Final = 3
"""How many answers from beyond the cut are enough."""

PROOF_SECONDS: Final = 4.0
"""How long these may take on a busy machine; they are asked for five times a second."""

SILENCE_SECONDS: Final = 1.0
"""How long nothing may come when only a relay carried the session."""

LEAVE_SECONDS: Final = 6.0
"""How long the client's farewell may take."""

SILENT: Final = "CC-SERVER-SILENT"
"""What a client says that found no way to its server."""

RELAYED: Final = "relay"
"""How the client names a path that a relay carries; more may follow on how the relay is reached."""


class Stage(enum.Enum):
    """How far a session is."""

    CONNECTING = "connecting"
    LOOKING = "looking"
    DOUBTING = "doubting"
    CUT_OFF = "cut off"
    LEAVING = "leaving"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a session takes place: names of nodes."""

    client: str
    server: str
    gateway: str
    """The client's gateway next to the router."""
    relays: Sequence[str]


class Session:
    """A client at work; call `look` again and again until the stage is OVER, then `run` says what came out."""

    def __init__(self, pair: Pair, world: World, ground: Ground, home: Path, file: Path) -> None:
        self.pair = pair
        self.stage = Stage.CONNECTING
        self.run: Run | None = None
        self._world = world
        self._ground = ground
        self._before = self._sent()
        self._packets = (0, 0)
        self._cut_at = 0.0
        self._mended_at = math.inf
        self._until = time.time() + START_SECONDS + CONNECT_SECONDS
        self._client = Client(world.machine(ground.client), home, file, seconds=CONNECT_SECONDS)

    def look(self) -> None:
        """Take the next step if it is time for it."""
        self._client.look()
        steps: dict[Stage, Callable[[], None]] = {
            Stage.CONNECTING: self._connecting,
            Stage.LOOKING: self._looking,
            Stage.DOUBTING: self._looking,
            Stage.CUT_OFF: self._cut_off,
            Stage.LEAVING: self._leaving,
        }
        if self.stage in steps:
            steps[self.stage]()

    def close(self) -> None:
        """End the client, however far it is."""
        self._client.end()

    def _sent(self) -> tuple[int, int]:
        client, server = (self._world.machine(node) for node in (self._ground.client, self._ground.server))
        return packets_sent(client), packets_sent(server)

    def _go(self, stage: Stage, seconds: float) -> None:
        self.stage = stage
        self._until = time.time() + seconds

    @property
    def _late(self) -> bool:
        return time.time() > self._until or not self._client.running

    def _connecting(self) -> None:
        if _last_pong(self._client.events) is not None:
            hopeful = expected(*self.pair) is Verdict.DIRECT
            self._go(Stage.LOOKING, DIRECT_SECONDS if hopeful else RELAY_SECONDS)
        elif self._late:
            self._settle()
            self._go(Stage.LEAVING, LEAVE_SECONDS)

    def _looking(self) -> None:
        pong = _last_pong(self._client.events)
        hopeless = pong is not None and pong.get("not_direct") in OVER
        if (pong is not None and _is_direct(pong)) or self._late:
            self._settle()
            self._world.part(self._ground.gateway, self._ground.relays)
            self._cut_at = time.time()
            self._go(Stage.CUT_OFF, SILENCE_SECONDS if self._relayed else PROOF_SECONDS)
        elif self.stage is Stage.LOOKING and hopeless:
            self._go(Stage.DOUBTING, DOUBT_SECONDS)

    @property
    def _relayed(self) -> bool:
        pong = _last_pong(self._client.events)
        return pong is None or not _is_direct(pong)

    def _cut_off(self) -> None:
        if answered_after(self._client.events, self._cut_at) >= PINGS or self._late:
            # What was asked before this moment may be answered after it.
            self._mended_at = time.time()
            self._world.join(self._ground.gateway, self._ground.relays)
            self._client.ask_to_end()
            self._go(Stage.LEAVING, LEAVE_SECONDS)

    def _leaving(self) -> None:
        if self._client.running and time.time() < self._until:
            return
        self._client.end()
        told = [event for event in self._client.events if event["time"] <= self._mended_at]
        self.run = judged(told, self._client.code, self._packets, self._cut_at)
        self.stage = Stage.OVER

    def _settle(self) -> None:
        client, server = (now - before for now, before in zip(self._sent(), self._before, strict=True))
        self._packets = client, server


def answered_after(events: Sequence[dict[str, Any]], at: float) -> int:
    """Count the answered pings that were asked after a time."""
    return sum(event["event"] == "pong" and event["time"] - event["rtt_ms"] / 1000 > at for event in events)


def judged(events: Sequence[dict[str, Any]], code: str, packets: tuple[int, int], cut_at: float = 0.0) -> Run:
    """Judge a session by what its client told: the path that carried data last, before the relays were cut off."""
    begun, up = _first(events, "connecting"), _first(events, "connected")
    began = begun["time"] if begun is not None else 0.0
    before = [event for event in events if not cut_at or event["time"] <= cut_at]
    answered = [event for event in before if event["event"] == "pong"]
    if up is None or not answered:
        reason = code or "the client ended without a word"
        lines = _timeline(events, began, cut_at, None)
        return Run(Verdict.FAIL, reason, packets=packets, broken=code != SILENT, timeline=lines)
    last = answered[-1]
    beyond = answered_after(events, cut_at) if cut_at else 0
    # A ping that is not answered is waited for, so no more than one is without an answer.
    proof = Proof(beyond if beyond >= PINGS else beyond + 1, beyond) if cut_at else None
    direct = _is_direct(last)
    changed = [event for event in before if event["event"] == "path_changed" and _is_direct(event)]
    why = changed[-1]["why"] if changed else Reason.AT_ONCE.value
    first = next((event for event in [up, *before] if _is_direct(event)), None)
    return Run(
        Verdict.DIRECT if direct else Verdict.RELAY,
        why if direct else last.get("not_direct") or code,
        opened_after=up["time"] - began,
        first_byte_after=answered[0]["time"] - began,
        direct_after=first["time"] - up["time"] if direct and first is not None else None,
        strategy=why if direct else "",
        packets=packets,
        proof=proof,
        timeline=_timeline(events, began, cut_at, proof),
    )


def _timeline(events: Sequence[dict[str, Any]], began: float, cut_at: float, proof: Proof | None) -> tuple[Moment, ...]:
    """Say what happened, pings but the first one left out."""
    found = [Moment(event["time"] - began, told) for event in events if (told := _told(event))]
    pong = _first(events, "pong")
    if pong is not None:
        found.append(Moment(pong["time"] - began, f"first ping answered over {_named(pong['path'])}"))
    if proof is not None:
        found.append(Moment(cut_at - began, f"relays cut off: {proof}"))
    return tuple(sorted(found))


def _told(event: dict[str, Any]) -> str:
    match event["event"]:
        case "connecting":
            return f"handshake begun towards {event['candidates']} addresses and {event['relays']} relays"
        case "connected":
            return f"session up over {_named(event['path'])}"
        case "path_changed":
            return f"now over {_named(event['path'])} ({event['why']})"
        case "problem":
            return f"{event['code']}: {event['cause']}"
        case _:
            return ""


def _named(path: str) -> str:
    return f"the {path}" if path.startswith(RELAYED) else path


def _is_direct(event: dict[str, Any]) -> bool:
    """Tell whether an event names a direct path."""
    return not event.get("path", RELAYED).startswith(RELAYED)


def _first(events: Sequence[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    return next((event for event in events if event["event"] == kind), None)


def _last_pong(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    return next((event for event in reversed(events) if event["event"] == "pong"), None)
