"""What a session asks of the endpoint that holds it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from clawchat.values.events import Event

if TYPE_CHECKING:
    from clawchat.session.session import Session


class Table(Protocol):
    """The endpoint, as a session sees it."""

    def emit(self, event: Event) -> None:
        """Tell the program."""

    def wake(self, session: Session) -> None:
        """Ask for a turn to send: the program used the session."""
