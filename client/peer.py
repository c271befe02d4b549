"""What a link needs of a connection, and how a path is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from clawchat.session.identity import SessionStats
from clawchat.values.address import Path
from clawchat.values.errors import SessionClosed

RELAYED: Final = "relay"
"""How a path is named that a relay carries."""

TUNNELLED: Final = f"{RELAYED} over WebSocket"
"""How it is named where the relay is reached by TCP, since UDP does not get through."""


class ChatStream(Protocol):
    """What the chat needs of a stream."""

    async def read(self, limit: int = -1) -> bytes:
        """Wait for bytes; empty at the end of the stream."""

    def write_now(self, data: bytes) -> None:
        """Queue bytes; they leave at once."""


class Peer(Protocol):
    """The part of a connection that the chat uses."""

    on_path: Callable[[Path, str], None] | None
    on_keys: Callable[[int], None] | None

    @property
    def words(self) -> str:
        """Return the safety words."""

    @property
    def closed(self) -> bool:
        """Tell whether the session is over."""

    @property
    def path(self) -> Path:
        """Return the path in use."""

    @property
    def tunnelled(self) -> bool:
        """Tell whether a WebSocket carries it."""

    def stats(self) -> SessionStats:
        """Return the session's figures."""

    def open_stream(self) -> ChatStream:
        """Open a stream."""

    async def ping(self) -> float:
        """Measure one round trip in seconds; waits as long as the session lives."""

    async def wait_closed(self) -> SessionClosed:
        """Wait for the end of the session and say how it ended."""

    def rekey(self) -> None:
        """Change the session's keys now."""

    def hop(self) -> None:
        """Move to another UDP port now."""

    def compromise(self, *, everything: bool = True) -> None:
        """Destroy the session's keys, or all, on both ends."""

    def close(self) -> None:
        """Close the session once all that was written has arrived."""


def describe_path(path: Path, *, tunnelled: bool) -> str:
    """Name a path for a person; ``tunnelled`` tells whether a WebSocket carries it."""
    if path.relayed:
        return TUNNELLED if tunnelled else RELAYED
    return f"{path.remote} (direct)"
