"""What a session needs of its endpoint."""

from __future__ import annotations

from typing import Protocol

from clawchat.transport.congestion import CongestionController
from clawchat.values.address import Address, Path
from clawchat.values.events import Event
from clawchat.wire.packet import BatchSealer


class Surroundings(Protocol):
    """What a session needs of its endpoint."""

    def emit(self, event: Event) -> None:
        """Tell the program."""

    def sealer(self, size: int) -> BatchSealer:
        """Return the shared sealer for a datagram size."""

    def congestion(self) -> CongestionController:
        """Make a congestion controller for a new path."""

    def random(self, size: int) -> bytes:
        """Return random bytes."""

    def ways(self, addresses: tuple[Address, ...]) -> tuple[Path, ...]:
        """List the paths from our ports to these addresses."""
