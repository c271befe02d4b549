"""The part of an endpoint that destroys itself, or one session: the keys first, then what tells the peers.

What is to be told is sealed while there are keys, several times, so that one copy arrives. Then everything is
overwritten or let go of, and only then the copies leave, by and by. Nobody can undo that any more, this end included.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from clawchat.crypto.derive import wipe
from clawchat.session.attempts import Attempts
from clawchat.session.demux import Demultiplexer
from clawchat.session.links import Links, address_box
from clawchat.session.outbound import Transmit
from clawchat.session.port_rotation import Rotation
from clawchat.session.session import Session
from clawchat.session.state import State
from clawchat.values.limits_rotation import COMPROMISED_TIMES
from clawchat.values.timers import NEVER
from clawchat.wire.frames import Close, CloseCode, Forward, encode
from clawchat.wire.packet import BatchSealer
from clawchat.wire.rotation import Compromised, Scope


class Farewell:
    """Sealed copies of the last word to each peer, and when they leave."""

    __slots__ = ("_copies",)

    def __init__(self) -> None:
        self._copies: list[tuple[float, list[Transmit]]] = []

    def add(self, copies: list[list[Transmit]], *, now: float) -> None:
        """Let the copies leave one after the other, the first now."""
        times = (now + after for after in COMPROMISED_TIMES)
        self._copies = sorted([*self._copies, *zip(times, copies, strict=True)], key=lambda each: each[0])

    @property
    def deadline(self) -> float:
        """Return when the next copy leaves."""
        return self._copies[0][0] if self._copies else NEVER

    def take(self, out: list[Transmit], *, now: float) -> None:
        """Append the copies that are due."""
        while self._copies and self._copies[0][0] <= now:
            out += self._copies.pop(0)[1]


class _Endpoint(Protocol):
    """What this part uses of the others."""

    _attempts: Attempts
    _demux: Demultiplexer
    _farewell: Farewell
    _header_key: bytearray
    _links: Links
    _rotation: Rotation
    _sealers: dict[int, BatchSealer]

    @property
    def sessions(self) -> Mapping[int, Session]: ...
    @property
    def armed(self) -> list[bytes]: ...
    def disarm(self, slot_id: bytes) -> None: ...
    def _remove(self, session: Session) -> None: ...
    def _last_words(self, session: Session, frame: bytes) -> Transmit | None: ...


class Compromising:
    """Destroy keys on purpose. SessionEnded(Compromised) follows for each session that was open."""

    @property
    def leaving(self: _Endpoint) -> bool:
        """Tell whether copies of the last word are still to leave; the ports are needed for that long."""
        return self._farewell.deadline != NEVER

    def compromise_session(self: _Endpoint, session_id: int, *, now: float) -> None:
        """Destroy one session, and tell its peer to do the same."""
        session = self.sessions.get(session_id)
        if session is None or session.state is State.CLOSED:
            return
        frame = encode(Compromised(Scope.SESSION))
        copies = [self._last_words(session, frame) for _ in COMPROMISED_TIMES]
        session.on_compromised(None)
        self._remove(session)
        self._farewell.add([[copy] if copy else [] for copy in copies], now=now)

    def compromise_all(self: _Endpoint, *, now: float) -> None:
        """Destroy every session, handshake, slot and key of this endpoint, and tell every peer to do the same.

        Relays are only told that we leave: their keys are not ours to destroy. The endpoint is of no use afterwards.
        """
        if self._demux.over:
            return
        peers = [session for session in self.sessions.values() if session.state is not State.CLOSED]
        words = {
            session: encode(Close(CloseCode.NONE, "") if self._links.is_link(session.id) else Compromised(Scope.ALL))
            for session in peers
        }
        # those that a relay carries first: the session with the relay must still have its keys
        order = sorted(peers, key=lambda session: not session.path.relayed)
        copies = []
        for _ in COMPROMISED_TIMES:
            sealed = [self._last_words(session, words[session]) for session in order]
            copies.append([copy for copy in sealed if copy is not None])
        for session in list(self.sessions.values()):
            session.on_compromised(None, everything=True)
            self._remove(session)
        self._attempts.forget_all()
        self._rotation = Rotation()
        for slot_id in self.armed:
            self.disarm(slot_id)
        self._demux.forget()
        self._sealers.clear()
        wipe(self._header_key)
        self._farewell.add(copies, now=now)

    def _last_words(self: _Endpoint, session: Session, frame: bytes) -> Transmit | None:
        """Seal a frame for a session's peer, and for the relay that carries it, if one does."""
        sealed = session.machines.out.seal_alone(frame, session.path)
        if not sealed.path.relayed:
            return sealed if sealed.path.remote.port else None  # a meeting may have no path yet
        relay = self._links.carrier(sealed.path, self.sessions)
        if relay is None:
            return None
        wrapped = Forward(address_box(sealed.path.remote), bytes(sealed.data))
        return relay.machines.out.seal_alone(encode(wrapped), relay.path)
