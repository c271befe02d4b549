"""Figures of a relay: its members, and what it passed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.metrics import table
from server.metrics.board import Board
from server.metrics.sessions import Life, SessionMeters

if TYPE_CHECKING:
    from server.relay_program import RelayProgram


class RelayMeters(SessionMeters):
    """Fill a relay's board."""

    def __init__(self, program: RelayProgram) -> None:
        super().__init__(Board(table.RELAY, "relay"), program.endpoint, program.node)
        self._program = program

    def opened(self, life: Life, *, now: float) -> None:
        """Note a member that has joined."""
        super().opened(life, now=now)
        self.board.add(table.JOINS)

    def box_refused(self) -> None:
        """Note a box that a member did not get."""
        self.board.add(table.BOXES_REFUSED)

    def refresh(self, *, healthy: bool, now: float) -> None:
        """Bring up to date what is kept elsewhere."""
        board, figures = self.board, self._program.hub.figures()
        self.look(healthy=healthy, expiry=self._program.slots.slots[-1].credential.valid_until, now=now)
        board.set(table.MEMBERS, figures.members)
        board.set(table.BOXES, figures.boxes)
        board.grown(table.FORWARDED, figures.forwarded)
        board.grown(table.FORWARDED_BYTES, figures.forwarded_bytes)
        board.grown(table.UNKNOWN_BOX, figures.unknown)
        board.grown(table.OVER_QUOTA, figures.over_quota)
        callers = self._program.websocket.figures()
        if callers is not None:
            board.set(table.CONNECTIONS, callers.connections)
            board.set(table.WEBSOCKETS, callers.websockets)
            board.grown(table.CONNECTIONS_REFUSED, callers.refused)
            board.grown(table.STRANGERS, callers.strangers)
            board.grown(table.SLOW_READERS, callers.dropped)
