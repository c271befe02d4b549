"""One process's table of sessions: whose datagram is this, who has something to send, when to look again.

Strangers get nothing. A datagram that names no session and no armed slot is counted and forgotten; nothing
is allocated for it, and there is no code path from it to ``transmits``.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Final

from clawchat.crypto.credential import Credential, Slot
from clawchat.crypto.header import HeaderCipher
from clawchat.crypto.keylog import KeyLog
from clawchat.crypto.noise import Secrets
from clawchat.session.attempts import Attempts
from clawchat.session.build import Agreement, build_session
from clawchat.session.carried import Carried
from clawchat.session.compromising import Compromising, Farewell
from clawchat.session.config import EndpointConfig
from clawchat.session.demux import Demultiplexer
from clawchat.session.hellos import BUCKET_SECONDS
from clawchat.session.initiator import Attempt
from clawchat.session.links import Links
from clawchat.session.outbound import BATCHES_PER_TURN, Transmit
from clawchat.session.port_rotation import Rotation
from clawchat.session.porting import Porting
from clawchat.session.responder import Answer, Budget, Responder
from clawchat.session.schedule import Schedule
from clawchat.session.scouting import Scout
from clawchat.session.session import Session
from clawchat.session.state import State
from clawchat.session.surveying import Surveying
from clawchat.transport.congestion import CongestionController
from clawchat.values.address import Path
from clawchat.values.errors import BadDatagram, HandshakeFailed
from clawchat.values.events import Event, ForwardReceived, SessionEnded, SlotConfirmed
from clawchat.values.limits import ANTI_AMPLIFICATION, HANDSHAKE_TIMEOUT, MAX_EVENTS
from clawchat.values.timers import NEVER
from clawchat.wire.packet import CID_BYTES, BatchSealer

TRANSMITS_PER_TURN: Final = 64
"""How many transmits one call hands over at most; the driver asks again."""


class Endpoint(Carried, Surveying, Compromising, Porting):
    """Demultiplex batches of datagrams to sessions, and collect what they send; answer nobody unknown."""

    def __init__(
        self,
        *,
        random: Callable[[int], bytes],
        config: EndpointConfig | None = None,
        keylog: KeyLog | None = None,
    ) -> None:
        self.random = random
        self.config = config or EndpointConfig()
        self.candidates = tuple(self.config.candidates)
        self.unix_offset = 0.0
        """What added to ``now`` gives Unix time, which HELLOs to reusable slots carry; the driver keeps it true."""
        self.path_errors: Counter[str] = Counter()
        self.abandoned = 0  # handshakes that we answered and nobody confirmed
        self._scout = Scout(self.emit)
        self._keylog = keylog
        self._header_key = bytearray(random(32))
        self._sessions: dict[int, Session] = {}
        self._attempts = Attempts()
        self._links = Links()
        self._responder = Responder(random, Budget(self.config.handshake_rate, self.config.handshake_burst))
        self._half_open: set[int] = set()
        self._meetings: set[int] = set()
        self._events: list[Event] = []
        self._awake: dict[Session, None] = {}
        self._own_header = HeaderCipher(self._header_key)
        self._demux = Demultiplexer(self._own_header, self._awake, self._receive_stranger)
        self._schedule = Schedule(self._sessions)
        self._farewell = Farewell()
        self._rotation = Rotation()
        self._welcomes: deque[Transmit] = deque()
        self._sealers: dict[int, BatchSealer] = {}
        self._ids = count(1)
        self._closing = False

    # --- what a program does -----------------------------------------------------------------------

    @property
    def drops(self) -> Counter[str]:
        """How many datagrams were refused, by reason."""
        return self._demux.drops

    @property
    def sessions(self) -> Mapping[int, Session]:
        """The sessions by id, half-open ones included."""
        return self._sessions

    def arm(self, slot: Slot, *, deadline: float) -> None:
        """Let a credential's holder join until ``deadline`` (monotonic seconds)."""
        self._responder.arm(slot, deadline)

    def disarm(self, slot_id: bytes) -> None:
        """Let nobody join by this slot any more, nor confirm a handshake; its keys are overwritten."""
        slot = self._responder.disarm(slot_id)
        if slot is not None:
            slot.wipe()
        for session in [self._sessions[session_id] for session_id in self._half_open]:
            if session.identity.slot_id == slot_id:
                self._remove(session)

    @property
    def armed(self) -> list[bytes]:
        """The ids of the slots that may be joined."""
        return self._responder.armed()

    def connect(
        self,
        credential: Credential,
        *,
        port: int,
        now: float,
        timeout: float = HANDSHAKE_TIMEOUT,
        direct: bool = True,
    ) -> int:
        """Begin a handshake through one of our ports; return the id of the session to be.

        SessionOpened or SessionEnded(HandshakeFailed) follows. Without ``direct`` only ``try_path`` gives it paths.
        """
        attempt = Attempt(
            next(self._ids),
            credential,
            new_cid=self._new_cid,
            header_key=self._header_key,
            port=self.current_port(port),
            own=self.candidates,
            direct=direct,
            random=self.random,
            keylog=self._keylog,
            unix_offset=self.unix_offset,
            deadline=now + timeout,
            now=now,
        )
        self._attempts.add(attempt)
        return attempt.id

    def try_path(self, attempt_id: int, path: Path, *, now: float) -> None:
        """Send the HELLOs of a handshake by one more path, beginning now.

        A session keeps a relayed path in reserve; a WebSocket it takes into use, and leaves it for a UDP path that
        answers.
        """
        self._attempts.add_path(attempt_id, path, self.told(path), now=now)
        session = self._sessions.get(attempt_id)
        if session is None:
            return
        if path.relayed:
            session.machines.rely_on(path, now=now)
        elif path.tunnelled:
            session.machines.move(path, now=now)
        else:
            session.machines.look(path)
        self.wake(session)

    def abandon(self, session_id: int) -> None:
        """Give up a handshake that was begun."""
        self._attempts.abandon(session_id)

    def close_all(self, *, now: float, code: int, reason: str) -> None:
        """Close every session at once, and let nobody join any more."""
        self._closing = True
        self.forget_meetings()
        for session in list(self._sessions.values()):
            session.close(code, reason, now=now, at_once=True)

    def events(self) -> Iterable[Event]:
        """Drain what happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    @property
    def busy(self) -> bool:
        """Tell whether there are events to drain or datagrams to ask ``transmits`` for, whatever the time."""
        return bool(self._awake or self._events or self._welcomes)

    # --- what a session asks of its surroundings ---------------------------------------------------

    def emit(self, event: Event) -> None:
        """Queue an event for the program."""
        if isinstance(event, SlotConfirmed):
            self._half_open.discard(event.session)
            if self._responder.is_reusable(event.slot_id):
                return
            if not self._responder.is_lasting(event.slot_id):
                self.disarm(event.slot_id)
        if isinstance(event, ForwardReceived) and self._links.take_in(event):
            return
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)

    def wake(self, session: Session) -> None:
        """Give a session a turn at the next call of ``transmits``."""
        self._awake[session] = None

    def sealer(self, size: int) -> BatchSealer:
        """Return the shared sealer for a datagram size."""
        sealer = self._sealers.get(size)
        if sealer is None:
            sealer = self._sealers[size] = BatchSealer(size, TRANSMITS_PER_TURN // 4)
        return sealer

    def congestion(self) -> CongestionController:
        """Make a congestion controller for a new path."""
        return self.config.congestion()

    # --- what the driver does ----------------------------------------------------------------------

    def receive(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        """Take datagrams of ``size`` bytes each, the last perhaps shorter, that came end to end by one path.

        Nothing that arrives raises. ``data`` is not kept.
        """
        self._demux.receive(data, size, path, now=now)
        while arrivals := self._links.arrivals():
            for datagram, relayed in arrivals:
                self._demux.receive(memoryview(datagram), len(datagram), relayed, now=now)

    def _receive_stranger(self, header: bytes, datagram: memoryview, path: Path, *, now: float) -> None:
        """Take a datagram that names no session: a HELLO, a WELCOME, or nothing of ours. Raises BadDatagram."""
        slot_id = None if self._closing else self._responder.find(datagram)
        attempt = self._attempts.get(header[:CID_BYTES])
        if slot_id is not None:
            self._welcome(slot_id, datagram, path, now=now)
        elif attempt is not None:
            self._welcomed(attempt, header, datagram, path, now=now)
        else:
            raise BadDatagram("unknown")

    def _welcome(self, slot_id: bytes, datagram: memoryview, path: Path, *, now: float) -> None:
        answer = self._answer(slot_id, datagram, path, now=now)
        session_id = next(self._ids)
        self._half_open.add(session_id)
        self._welcomes.append(Transmit(answer.datagram, len(answer.datagram), path))
        self._add(answer.agreement, answer.secrets, session_id, path, rtt=None, now=now)
        punching = self._sessions[session_id].machines.punching
        if punching is not None:
            allowed = ANTI_AMPLIFICATION * len(datagram) - len(answer.datagram)
            punching.prime(answer.agreement.peer_candidates, allowed, now=now)

    def _answer(self, slot_id: bytes, datagram: memoryview, path: Path, *, now: float) -> Answer:
        if len(self._half_open) >= self.config.max_half_open or len(self._sessions) >= self.config.max_sessions:
            raise BadDatagram("full")
        return self._responder.answer(
            slot_id,
            datagram,
            path,
            cid=self._new_cid(),
            header_key=self._header_key,
            candidates=self.told(path),
            keylog=self._keylog,
            bucket=int((now + self.unix_offset) // BUCKET_SECONDS),
            now=now,
        )

    def _welcomed(self, attempt: Attempt, header: bytes, datagram: memoryview, path: Path, *, now: float) -> None:
        welcomed = attempt.receive(header, datagram, now=now)
        self._attempts.forget(attempt)
        self._add(welcomed.agreement, welcomed.secrets, attempt.id, path, rtt=welcomed.rtt, now=now)
        session = self._sessions[attempt.id]
        self._note_welcome(session, attempt.relayed_paths(), path, sent_at=now - welcomed.rtt, now=now)
        if session.machines.punching is not None:
            session.machines.punching.told(welcomed.told)

    def transmits(self, *, now: float) -> list[Transmit]:
        """Return what may be sent now, a bounded share of it; views are valid until the next call.

        Call again until it returns nothing.
        """
        out: list[Transmit] = []
        while self._welcomes:
            out.append(self._welcomes.popleft())
        self._farewell.take(out, now=now)
        self._attempts.transmit(out, now=now)
        self._links.divert(out, 0, self._sessions)
        bulk_room = TRANSMITS_PER_TURN // 4 - BATCHES_PER_TURN
        while self._awake and len(out) < TRANSMITS_PER_TURN and bulk_room >= 0:
            session = next(iter(self._awake))
            del self._awake[session]
            before = len(out)
            session.transmit(out, now=now)
            bulk_room -= len(out) - before
            self._links.divert(out, before, self._sessions)
            self._settle(session)
        return out

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is due, None if nothing is waited for."""
        deadline = min(self._schedule.next(), self._attempts.next_timeout(), self._responder.deadline)
        deadline = min(deadline, self._farewell.deadline, self.rotation_deadline)
        return None if deadline == NEVER else deadline

    def handle_timeout(self, *, now: float) -> None:
        """Do what is due; ask for ``transmits`` and ``events`` afterwards."""
        for session in self._schedule.due(now=now):
            session.handle_timeout(now=now)
            self._awake[session] = None
        if self.rotation_deadline <= now:
            self._rotate(now=now)
        for attempt in self._attempts.take_expired(now=now):
            self.emit(SessionEnded(attempt.id, HandshakeFailed("no answer from any address of the server")))
        for slot_id in self._responder.expired(now=now):
            self.disarm(slot_id)

    # --- the table ---------------------------------------------------------------------------------

    def _settle(self, session: Session) -> None:
        """Forget a session that is over, else remember when to look at it again."""
        if session.state is State.CLOSED:
            self._remove(session)
        else:
            self._schedule.put(session)

    def _add(  # noqa: PLR0913 - what a handshake yields
        self, agreement: Agreement, secrets: Secrets, session_id: int, path: Path, *, rtt: float | None, now: float
    ) -> None:
        session = build_session(agreement, secrets, session_id, path, self, rtt=rtt, keylog=self._keylog, now=now)
        self._sessions[session.id] = session
        self._demux.sessions[session.identity.cid] = session
        self._awake[session] = None

    def _remove(self, session: Session) -> None:
        if session.machines.punching is not None:
            session.machines.punching.close(now=0.0)
        self._sessions.pop(session.id, None)
        self._demux.sessions.pop(session.identity.cid, None)
        self.abandoned += session.id in self._half_open
        self._half_open.discard(session.id)
        self._awake.pop(session, None)
        link = self._links.close(session.id)
        if link is not None:
            self._relay_left(link)
        session.machines.rekeying.wipe()

    def _new_cid(self) -> bytes:
        while True:
            cid = self.random(CID_BYTES)
            if cid not in self._demux.sessions and cid not in self._attempts:
                return cid
