"""What the driver asks of an endpoint: the five verbs, and what it tells it of ports, paths and networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from clawchat.crypto.credential import Credential
from clawchat.session.outbound import Transmit
from clawchat.session.session import Session
from clawchat.values.address import Address, Path
from clawchat.values.events import Event


class Core(Protocol):
    """An endpoint as its driver sees it; ``now`` is in monotonic seconds.

    Ports the endpoint asks for get handles above every one it has seen; so do those the program opens.
    """

    unix_offset: float
    """What added to ``now`` gives Unix time."""

    @property
    def sessions(self) -> Mapping[int, Session]:
        """The sessions by id, until their CLOSE is sent."""

    def receive(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        """Take in a batch; ``data`` is valid during the call only."""

    def transmits(self, *, now: float) -> Sequence[Transmit]:
        """Return a bounded share of what may be sent now, nothing when that is all; views die with the next call."""

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is due."""

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due."""

    @property
    def busy(self) -> bool:
        """Tell whether there is something to tell or to send, whatever the time."""

    def events(self) -> Iterable[Event]:
        """Drain what there is to tell."""

    def port_opened(self, handle: int, address: Address, *, now: float) -> None:
        """Learn of a port: one that was asked for, one the program opened, or the new address of one."""

    def port_failed(self, handle: int, *, now: float) -> None:
        """Learn that there is no such port, or no more."""

    def path_error(self, path: Path, name: str, *, now: float) -> None:
        """Learn that a path refused, under the error's POSIX name; a hint, since anybody can forge ICMP."""

    def network_changed(self, *, now: float) -> None:
        """Learn that this machine's addresses changed."""

    def connect(self, credential: Credential, *, port: int, now: float, timeout: float) -> int:
        """Begin a handshake through a port; return the id of the session to be."""

    def abandon(self, session_id: int) -> None:
        """Give up a handshake that was begun."""

    @property
    def leaving(self) -> bool:
        """Tell whether copies of COMPROMISED are still to leave."""

    def hop(self) -> None:
        """Move to another port now."""

    @property
    def port_moves(self) -> int:
        """Tell how often the port has changed."""

    def compromise_session(self, session_id: int, *, now: float) -> None:
        """Destroy one session, and tell its peer to do the same."""

    def compromise_all(self, *, now: float) -> None:
        """Destroy every key, and tell every peer to do the same."""

    def close_all(self, *, now: float, code: int, reason: str) -> None:
        """Close every session at once."""


class Tap(Protocol):
    """Somebody who sees every datagram: a capture of a run."""

    def received(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        """See a batch before the endpoint does."""

    def sent(self, transmit: Transmit, *, now: float) -> None:
        """See a batch before the socket does."""
