"""What a session needs of its endpoint."""

from __future__ import annotations

from typing import Protocol

from clawchat.session.config import EndpointConfig
from clawchat.session.scouting import Scout
from clawchat.transport.congestion import CongestionController
from clawchat.values.address import Address, Path
from clawchat.values.events import Event
from clawchat.values.limits import SURVEY_LIFE
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

    def survey(self, *, now: float, life: float = SURVEY_LIFE) -> None:
        """Ask relays what they see of us, unless they were asked in the last ``life`` seconds."""

    def observed(self, path: Path, address: Address, *, at: float, now: float) -> None:
        """Take note of what a server saw of a port of ours, by a datagram that left ``at``."""

    def tunnelled(self, path: Path) -> bool:
        """Tell whether a WebSocket carries a path, be it that of a link."""

    def mapping_ended(self, *, now: float) -> None:
        """Learn that our NAT ends mappings on a schedule, and has just made a new one."""

    def retire_port(self, handle: int, *, now: float) -> None:
        """Close a port of ours once a session has left it for good."""

    @property
    def config(self) -> EndpointConfig:
        """Return the endpoint's limits and habits."""

    @property
    def scout(self) -> Scout:
        """Return what is known of our own place."""

    @property
    def candidates(self) -> tuple[Address, ...]:
        """Return where the program says we may be reached."""

    @property
    def direct_allowed(self) -> bool:
        """Tell whether a session may leave its relay."""
