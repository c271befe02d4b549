"""Handshakes whose two messages are carried by something else than datagrams, such as files in a folder.

The bytes are the same as in datagrams. What differs is that neither message shows where it came from, and that
seconds or minutes pass between them: both ends look for a path by the addresses that the messages name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import count
from typing import Final, NamedTuple, Protocol

from clawchat.crypto.credential import Credential
from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.noise import Secrets
from clawchat.session.attempts import Attempts
from clawchat.session.build import Agreement
from clawchat.session.meeting import Rendezvous
from clawchat.session.responder import Answer, Responder
from clawchat.session.scouting import Scout
from clawchat.session.session import Session
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram
from clawchat.values.limits import (
    BLOCK,
    MAX_HELLO,
    MAX_MEETINGS,
    MEETING_LIFE,
    MEETING_TIMEOUT,
    MIN_HELLO,
)
from clawchat.wire.packet import CID_BYTES

NOWHERE: Final = Address("100::", 0)
"""What stands for an address that nobody has seen (RFC 6666)."""


class Offer(NamedTuple):
    """A handshake begun: the id of the session to be, and the HELLO to carry."""

    session: int
    hello: bytes


class Acceptance(NamedTuple):
    """A HELLO answered: the id of the session to be, and the WELCOME to carry."""

    session: int
    welcome: bytes


class _Endpoint(Protocol):
    """What carried handshakes share with those by datagrams."""

    _attempts: Attempts
    _half_open: set[int]
    _ids: count[int]
    _meetings: set[int]
    _own_header: HeaderCipher
    _responder: Responder

    @property
    def drops(self) -> Counter[str]: ...
    @property
    def scout(self) -> Scout: ...
    @property
    def sessions(self) -> Mapping[int, Session]: ...
    def current_port(self, handle: int) -> int: ...
    def connect(self, credential: Credential, *, port: int, now: float, timeout: float = ...) -> int: ...
    def ways(self, addresses: tuple[Address, ...]) -> tuple[Path, ...]: ...
    def _remove(self, session: Session) -> None: ...
    def _answer(self, slot_id: bytes, datagram: memoryview, path: Path, *, now: float) -> Answer: ...
    def _add(  # noqa: PLR0913 - what a handshake yields
        self, agreement: Agreement, secrets: Secrets, session_id: int, path: Path, *, rtt: float | None, now: float
    ) -> None: ...


class Carried:
    """The part of an endpoint that makes and takes HELLO and WELCOME as bytes."""

    @property
    def mailboxes(self: _Endpoint) -> dict[bytes, bytes]:
        """The names (16 bytes) of the meeting places of armed slots, by slot id."""
        return self._responder.mailboxes()

    def offer(
        self: _Endpoint,
        credential: Credential,
        *,
        port: int,
        now: float,
        timeout: float = MEETING_LIFE,
        direct: bool = False,
    ) -> Offer:
        """Begin a handshake whose HELLO the caller carries.

        Until ``accept_welcome`` takes its answer, HELLOs that die on the way keep our NAT open; with ``direct``
        they go all the way, as in ``connect``. SessionOpened or SessionEnded follows.
        """
        attempt_id = self.connect(credential, port=port, now=now, timeout=timeout)
        prime_ttl = None if direct else self.scout.prime_ttl
        return Offer(attempt_id, self._attempts.offer(attempt_id, prime_ttl=prime_ttl, now=now))

    def accept_hello(
        self: _Endpoint,
        data: bytes,
        *,
        port: int,
        now: float,
        life: float = MEETING_LIFE,
    ) -> Acceptance | None:
        """Answer a HELLO that somebody carried here, if it is authentic and new; open our NAT for its sender.

        Ask for ``transmits`` before the answer is handed on. The session waits ``life`` seconds for its client.
        """
        view = memoryview(data)
        try:
            slot_id = self._responder.find(view)
            if slot_id is None:
                raise BadDatagram("unknown")
            self._meetings &= self._half_open
            if len(self._meetings) >= MAX_MEETINGS:
                raise BadDatagram("full")
            port = self.current_port(port)
            answer = self._answer(slot_id, view, Path(port, NOWHERE), now=now)
        except BadDatagram as refused:
            self.drops[refused.reason] += 1
            return None
        session_id = next(self._ids)
        self._half_open.add(session_id)
        self._meetings.add(session_id)
        ways = self.ways(answer.agreement.peer_candidates)
        path = ways[0] if ways else Path(port, NOWHERE)
        agreement = answer.agreement._replace(rendezvous=Rendezvous(ways, now + life, self.scout.prime_ttl))
        self._add(agreement, answer.secrets, session_id, path, rtt=None, now=now)
        return Acceptance(session_id, answer.datagram)

    def accept_welcome(
        self: _Endpoint, data: bytes, *, port: int, now: float, timeout: float = MEETING_TIMEOUT
    ) -> int | None:
        """Take a WELCOME that somebody carried here; return the session's id, None if it answers no HELLO of ours.

        For ``timeout`` seconds the server's addresses are tried; then SessionEnded tells that there is no path.
        """
        try:
            if not MIN_HELLO <= len(data) <= MAX_HELLO:
                raise BadDatagram("length")
            if not self._attempts:
                raise BadDatagram("unknown")
            header = self._own_header.unmask(data[:BLOCK])
            attempt = self._attempts.get(header[:CID_BYTES])
            if attempt is None:
                raise BadDatagram("unknown")
            welcomed = attempt.receive(header, memoryview(data), now=now)
        except BadDatagram as refused:
            self.drops[refused.reason] += 1
            return None
        self._attempts.forget(attempt)
        ways = self.ways(tuple(dict.fromkeys(welcomed.agreement.peer_candidates + attempt.addresses)))
        path = ways[0] if ways else Path(self.current_port(port), NOWHERE)
        agreement = welcomed.agreement._replace(rendezvous=Rendezvous(ways, now + timeout, self.scout.prime_ttl))
        self._add(agreement, welcomed.secrets, attempt.id, path, rtt=None, now=now)
        return attempt.id

    def forget_meetings(self: _Endpoint) -> None:
        """Wait no more for clients that may have our answers: there is no path to tell them by."""
        for session_id in self._meetings & self._half_open:
            self._remove(self.sessions[session_id])

    def answer_was_read(self: _Endpoint, session_id: int, *, now: float) -> None:
        """Learn that the client has read our WELCOME: from now on both ends may send all the way."""
        session = self.sessions.get(session_id)
        if session is not None:
            session.punch(now=now)
