"""Links to relays: sessions whose service is to carry other sessions' datagrams.

A link is a virtual port with a handle below zero. What a session sends by a path with such a port travels as
FORWARD frames in the session with the relay; what arrives in them is received as if it came through the port.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from clawchat.session.outbound import Transmit
from clawchat.session.session import Session
from clawchat.values.address import Address, Path
from clawchat.values.events import ForwardReceived


class Arrival(NamedTuple):
    """A datagram that a relay passed on."""

    data: bytes
    path: Path


def box_address(box: bytes) -> Address:
    """Write a box of 16 bytes as the address of a relayed path, with all its zeros."""
    return Address(box.hex(":", 2), 0)


def address_box(address: Address) -> bytes:
    """Return the box that the address of a relayed path stands for."""
    return bytes.fromhex(address.host.replace(":", ""))


class Links:
    """Which virtual port is which session with a relay."""

    __slots__ = ("_arrivals", "_next_handle", "_ports", "_sessions")

    def __init__(self) -> None:
        self._sessions: dict[int, int] = {}
        self._ports: dict[int, int] = {}
        self._arrivals: list[Arrival] = []
        self._next_handle = -1

    def open(self, session_id: int) -> int:
        """Make a session with a relay a link; return its virtual port."""
        handle = self._ports.get(session_id)
        if handle is None:
            handle = self._next_handle
            self._next_handle -= 1
            self._sessions[handle] = session_id
            self._ports[session_id] = handle
        return handle

    def session(self, handle: int) -> int:
        """Return the session with the relay that a virtual port stands for, 0 if it is over."""
        return self._sessions.get(handle, 0)

    def is_link(self, session_id: int) -> bool:
        """Tell whether a session is with a relay that carries others."""
        return session_id in self._ports

    def among(self, sessions: Mapping[int, Session]) -> list[Session]:
        """List those of these sessions that are with relays and carry others."""
        return [session for session in sessions.values() if session.id in self._ports]

    def close(self, session_id: int) -> int | None:
        """Forget a link whose session is over; return its virtual port, None if it was no link."""
        handle = self._ports.pop(session_id, None)
        if handle is not None:
            del self._sessions[handle]
        return handle

    def carrier(self, path: Path, sessions: Mapping[int, Session]) -> Session | None:
        """Return the session with the relay of a relayed path, if there still is one."""
        return sessions.get(self._sessions.get(path.port, 0))

    def take_in(self, event: ForwardReceived) -> bool:
        """Keep a forwarded datagram until ``arrivals`` is asked; tell whether it came by a link."""
        handle = self._ports.get(event.session)
        if handle is None:
            return False
        self._arrivals.append(Arrival(event.data, Path(handle, box_address(event.box))))
        return True

    def arrivals(self) -> list[Arrival]:
        """Return what links brought since the last call."""
        arrivals, self._arrivals = self._arrivals, []
        return arrivals

    def divert(self, out: list[Transmit], start: int, sessions: Mapping[int, Session]) -> None:
        """Hand the relayed ones of the transmits from ``start`` on to their links, which then want to send."""
        if not self._sessions or start == len(out):
            return
        direct = []
        for transmit in out[start:]:
            if transmit.path.port >= 0:  # Path.relayed, without a call for each datagram
                direct.append(transmit)
                continue
            relay = self.carrier(transmit.path, sessions)
            if relay is not None:
                box = address_box(transmit.path.remote)
                data = transmit.data
                for at in range(0, len(data), transmit.size):
                    relay.forward(box, bytes(data[at : at + transmit.size]))
        out[start:] = direct
