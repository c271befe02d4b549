"""Figures that a server and a relay have in common: their sessions, what they dropped, how late they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from clawchat.net.command_line import version
from clawchat.net.driver import Node
from clawchat.session.endpoint import Endpoint
from clawchat.session.session import Session
from clawchat.values.address import Path
from clawchat.values.events import Event, Role, SessionEnded, SessionOpened, SlotConfirmed
from server.metrics import table
from server.metrics.board import Board

DIRECT: Final = "direct"
RELAYED: Final = "relay"


class Traffic(NamedTuple):
    """What went through a session, or through all of them."""

    bytes_sent: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0

    def plus(self, other: Traffic) -> Traffic:
        """Add up."""
        return Traffic(*(one + two for one, two in zip(self, other, strict=True)))


@dataclass(slots=True)
class Life:
    """A session that a client or a member began; it is kept until its last figures are read."""

    session: Session
    opened_at: float
    judged: bool = False
    """Whether it is counted how its search for a direct path went."""
    heard: bool = False
    """Whether a first byte came in one of its streams."""


class SessionMeters:
    """Fill a board from what an endpoint tells. ``now`` is in monotonic seconds."""

    def __init__(self, board: Board, endpoint: Endpoint, node: Node) -> None:
        self.board = board
        self.lives: dict[int, Life] = {}
        self._endpoint = endpoint
        self._node = node
        self._ended = Traffic()
        board.set(table.BUILD, 1, version=version())
        for result in ("confirmed", "abandoned", "late"):
            board.add(table.HANDSHAKES, 0, result=result)

    def on_event(self, event: Event, *, now: float) -> None:
        """Take in an event, before the program acts on it."""
        match event:
            case SlotConfirmed():
                self.board.add(table.HANDSHAKES, result="confirmed")
            case SessionOpened(role=Role.RESPONDER) if event.session in self._endpoint.sessions:
                self.opened(Life(self._endpoint.sessions[event.session], now), now=now)
            case SessionEnded() if event.session in self.lives:
                self.ended(self.lives[event.session], event.error.code, now=now)
            case _:
                return

    def opened(self, life: Life, *, now: float) -> None:  # noqa: ARG002 - for those who know more
        """Note a session that has begun."""
        self.lives[life.session.id] = life

    def ended(self, life: Life, code: str, *, now: float) -> None:
        """Note that a session is over, and keep its last figures."""
        del self.lives[life.session.id]
        self.board.add(table.ENDED, code=code)
        self._ended = self._ended.plus(traffic(life.session, now=now))

    def refused(self) -> None:
        """Note a client that came by a file which another one had used a moment before."""
        self.board.add(table.HANDSHAKES, result="late")

    def look(self, *, healthy: bool, expiry: float | None, now: float) -> None:
        """Bring up to date what is kept elsewhere; ``expiry`` is the first of all files', in Unix time."""
        board = self.board
        board.set(table.HEALTHY, healthy)
        board.set(table.LOOP_LAG, self._node.lag)
        board.observe(table.LAG, self._node.lag)
        board.set(table.EXPIRY, float("nan") if expiry is None else expiry)
        board.grown(table.HANDSHAKES, self._endpoint.abandoned, result="abandoned")
        for reason, count in self._endpoint.drops.items():
            board.grown(table.DROPS, count, reason=reason)
        total = self._ended
        for life in self.lives.values():
            total = total.plus(traffic(life.session, now=now))
            board.observe(table.RTT, life.session.stats(now=now).rtt, path=kind_of(life.session.path))
        board.grown(table.SENT_BYTES, total.bytes_sent)
        board.grown(table.RECEIVED_BYTES, total.bytes_received)
        board.grown(table.SENT_PACKETS, total.packets_sent)
        board.grown(table.RECEIVED_PACKETS, total.packets_received)
        board.grown(table.LOST_PACKETS, total.packets_lost)


def kind_of(path: Path) -> str:
    """Say whether a path is direct."""
    return RELAYED if path.relayed else DIRECT


def traffic(session: Session, *, now: float) -> Traffic:
    """Return what went through a session so far."""
    stats = session.stats(now=now)
    return Traffic(
        stats.bytes_sent,
        stats.bytes_received,
        stats.packets_sent,
        stats.packets_received,
        session.machines.recovery.packets_lost,
    )
