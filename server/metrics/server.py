"""Figures of a server: how its clients' search for a path went, its security files, its relays."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Final

from clawchat.values.events import Event, KeysChanged, PathChanged, PortKept, PortMoved, StreamReadable
from clawchat.values.habit import Ports
from server.metrics import table
from server.metrics.board import Board
from server.metrics.sessions import DIRECT, RELAYED, Life, SessionMeters, kind_of

if TYPE_CHECKING:
    from server.program import Program


PATIENCE_SECONDS: Final = 60.0
"""A session that found no direct path for this long is counted as one that a relay carries."""


class ServerMeters(SessionMeters):
    """Fill a server's board."""

    def __init__(self, program: Program) -> None:
        super().__init__(Board(table.SERVER, "server"), program.endpoint, program.node)
        self._program = program

    def on_event(self, event: Event, *, now: float) -> None:
        """Take in an event, before the program acts on it."""
        super().on_event(event, now=now)
        match event:
            case PathChanged() if event.session in self.lives:
                self.board.add(table.PATH_CHANGES, reason=event.why)
                life = self.lives[event.session]
                if not event.path.relayed and not life.judged:
                    self.board.observe(table.PUNCH, now - life.opened_at)
                    self._judge(life, now=now)
            case PortMoved():
                self.board.add(table.PORT_MOVES, result="moved")
            case PortKept():
                self.board.add(table.PORT_MOVES, result="kept")
            case KeysChanged() if event.session in self.lives:
                self.board.add(table.KEYS)
            case StreamReadable() if event.session in self.lives and not self.lives[event.session].heard:
                life = self.lives[event.session]
                life.heard = True
                self.board.observe(table.FIRST_BYTE, life.session.stats(now=now).age)
            case _:
                return

    def opened(self, life: Life, *, now: float) -> None:
        """Note a session that has begun; one that began directly is judged already."""
        super().opened(life, now=now)
        if not life.session.path.relayed:
            self._judge(life, now=now)

    def ended(self, life: Life, code: str, *, now: float) -> None:
        """Note that a session is over; one that never was direct is judged now."""
        super().ended(life, code, now=now)
        if not life.judged:
            self._judge(life, now=now)

    def _judge(self, life: Life, *, now: float) -> None:
        """Count how a session's search for a direct path went."""
        life.judged = True
        session, punching = life.session, life.session.machines.punching
        move = punching.move if punching is not None and not session.path.relayed else None
        self.board.add(
            table.ATTEMPTS,
            result=kind_of(session.path),
            reason=session.path_reason,
            strategy=move or "",
            nat=word_for(self._program.endpoint.scout.habit(now=now).ports),
            peer_nat=word_for(punching.peer_ports if punching is not None else Ports.UNKNOWN),
        )

    def begun_anew(self, times: int) -> None:
        """Note how often everything was destroyed before, since the process began."""
        self.board.grown(table.COMPROMISED, times)

    def refresh(self, *, healthy: bool, missing: int, now: float) -> None:
        """Bring up to date what is kept elsewhere; ``missing`` security files can't be used."""
        program, board = self._program, self.board
        views = program.invitations.views()
        left = min((view.seconds for view in views), default=None)
        self.look(healthy=healthy, expiry=None if left is None else time.time() + left, now=now)
        for life in self.lives.values():
            if not life.judged and now - life.opened_at >= PATIENCE_SECONDS:
                self._judge(life, now=now)
        paths = Counter(kind_of(life.session.path) for life in self.lives.values())
        for kind in (DIRECT, RELAYED):
            board.set(table.SESSIONS, paths[kind], path=kind)
        board.set(table.FILES, len(views) - missing, state="valid")
        board.set(table.FILES, missing, state="missing")
        board.set(table.RETURNING, len(program.returning))
        joined = [view.joined for view in program.relays.views()]
        board.set(table.RELAYS, joined.count(True), state="joined")
        board.set(table.RELAYS, joined.count(False), state="lost")
        board.grown(table.HANDLER_STARTS, program.handler.starts if program.handler is not None else 0)


def word_for(ports: Ports) -> str:
    """Name what a NAT does with ports."""
    return ports.name.lower()
