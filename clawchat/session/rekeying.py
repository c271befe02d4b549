"""New keys for a session: when they are due, and how both ends change over without losing a packet.

Only the client starts; the server may ask it to. The client offers a fresh public key, the server answers with its
own and opens the new epoch from then on. The client sends with the new keys at once, the server after the first
packet under them has opened. Frames that get lost are sent again, late copies name an epoch that is over.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from clawchat.crypto.derive import wipe
from clawchat.crypto.epoch import DirectionKeys, Exchange, next_epoch
from clawchat.crypto.keylog import KeyLog, data_line
from clawchat.session.keys import ReceiveKeys, SendKeys
from clawchat.values.errors import BadDatagram, ProtocolViolation
from clawchat.values.events import Role
from clawchat.values.limits_rotation import KEY_JITTER, LAST_EPOCH, MAX_KEY_AGE
from clawchat.values.timers import NEVER
from clawchat.wire.frames import CloseCode, Frame
from clawchat.wire.rotation import Rekey1, Rekey2, RekeyPlease

_KEY_BYTES: Final = 32
_UNIT: Final = 1 << 16


class Phase(Enum):
    """How far the change to the next epoch has come."""

    STEADY = "steady"
    PLEADED = "pleaded"
    OFFERED = "offered"
    ANSWERED = "answered"
    TURNED = "turned"


class Step(Enum):
    """What moves it on."""

    DUE_AT_CLIENT = "due at the client: REKEY_1"
    DUE_AT_SERVER = "due at the server: REKEY_PLEASE"
    OFFER = "REKEY_1 came: REKEY_2"
    ANSWER = "REKEY_2 came: send with the new keys"
    HEARD = "a packet of the new epoch opened"


TRANSITIONS: Final[dict[Phase, dict[Step, Phase]]] = {
    Phase.STEADY: {
        Step.DUE_AT_CLIENT: Phase.OFFERED,
        Step.DUE_AT_SERVER: Phase.PLEADED,
        Step.OFFER: Phase.ANSWERED,
    },
    Phase.PLEADED: {Step.OFFER: Phase.ANSWERED},
    Phase.OFFERED: {Step.ANSWER: Phase.TURNED},
    Phase.ANSWERED: {Step.HEARD: Phase.STEADY},
    Phase.TURNED: {Step.HEARD: Phase.STEADY},
}
"""A step without a row is a late copy, and changes nothing."""


class Names(NamedTuple):
    """What a key log calls the two directions: whom each header names, and the key it is masked under."""

    own_cid: bytes
    own_header_key: bytes | bytearray
    peer_cid: bytes
    peer_header_key: bytes | bytearray


class Rekeying:
    """Change the keys of one session, of which it holds the root key.

    ``say`` sends a frame that must arrive. ``began`` is when the keys in use were taken into use.
    """

    __slots__ = (
        "_due_at",
        "_hash",
        "_interval",
        "_private",
        "_random",
        "_receive",
        "_role",
        "_root",
        "_say",
        "_send",
        "_turn_to",
        "began",
        "log",
        "phase",
    )

    def __init__(  # noqa: PLR0913 - the keys in use, what the next ones come from, and when
        self,
        role: Role,
        root: bytearray,
        handshake_hash: bytes,
        send: SendKeys,
        receive: ReceiveKeys,
        say: Callable[[Frame], None],
        random: Callable[[int], bytes],
        interval: float,
        *,
        now: float,
    ) -> None:
        self._role = role
        self._root = root
        self._hash = handshake_hash
        self._send = send
        self._receive = receive
        self._say = say
        self._random = random
        self._interval = interval
        self._private: X25519PrivateKey | None = None
        self._turn_to: DirectionKeys | None = None
        self.phase = Phase.STEADY
        self.log: tuple[KeyLog, Names] | None = None
        self._restart(now=now)

    def _restart(self, *, now: float) -> None:
        self.began = now
        share = int.from_bytes(self._random(2), "big") / _UNIT if self._role is Role.INITIATOR else 0.0
        self._due_at = now + self._interval * (1 - KEY_JITTER * share)

    @property
    def epoch(self) -> int:
        """Return the epoch whose key seals what we send."""
        return self._send.epoch

    @property
    def deadline(self) -> float:
        """Return when there is something to do."""
        due = self._due_at if self.phase is Phase.STEADY else NEVER
        return min(due, self.began + MAX_KEY_AGE, self._receive.deadline)

    def too_old(self, *, now: float) -> bool:
        """Tell whether the keys may be used no longer, since the peer does not change them."""
        return now >= self.began + MAX_KEY_AGE

    def on_timeout(self, *, now: float) -> None:
        """Let old keys go, and begin the next epoch if it is time."""
        self._receive.expire(now=now)
        if self._due_at <= now:
            self.begin()

    def begin(self) -> None:
        """Begin the next epoch, or ask the peer to, unless that is under way."""
        if self.epoch >= LAST_EPOCH:
            self._due_at = NEVER
        elif self.phase is Phase.STEADY:
            self._begin()

    def _begin(self) -> None:
        if self._role is Role.RESPONDER:
            self._advance(Step.DUE_AT_SERVER)
            self._say(RekeyPlease(self.epoch + 1))
            return
        self._advance(Step.DUE_AT_CLIENT)
        self._private, public = self._fresh()
        self._say(Rekey1(self.epoch + 1, public))

    def on_please(self, frame: RekeyPlease) -> None:
        """Begin the epoch the server asks for. Raises ProtocolViolation."""
        self._check(Role.INITIATOR, frame.epoch)
        if frame.epoch == self.epoch + 1:
            self.begin()

    def on_offer(self, frame: Rekey1) -> None:
        """Answer the client's half with ours; open the new epoch from now on. Raises ProtocolViolation."""
        self._check(Role.RESPONDER, frame.epoch)
        if frame.epoch == self.epoch + 1 and self._advance(Step.OFFER):
            private, public = self._fresh()
            self._turn_to = self._derive(private, frame.public, Exchange(frame.epoch, frame.public, public, self._hash))
            self._say(Rekey2(frame.epoch, public))

    def on_answer(self, frame: Rekey2, *, now: float) -> bool:
        """Take the server's half, and send with the new keys at once; tell whether we do. Raises ProtocolViolation."""
        self._check(Role.INITIATOR, frame.epoch)
        private = self._private
        if frame.epoch != self.epoch + 1 or private is None or not self._advance(Step.ANSWER):
            return False
        self._private = None
        public = private.public_key().public_bytes_raw()
        keys = self._derive(private, frame.public, Exchange(frame.epoch, public, frame.public, self._hash))
        self._turn(keys, now=now)
        return True

    def on_heard(self, epoch: int, *, now: float) -> None:
        """Note that the first packet of a new epoch opened: the peer has its keys."""
        self._receive.on_heard(epoch, now=now)
        if self._turn_to is not None:
            self._turn(self._turn_to, now=now)
            self._turn_to = None
        self._advance(Step.HEARD)

    def wipe(self) -> None:
        """Destroy the keys in use and what later ones come from; the session is over."""
        wipe(self._root)
        self._private = self._turn_to = None
        self._send.forget()
        self._receive.forget()

    def _advance(self, step: Step) -> bool:
        following = TRANSITIONS[self.phase].get(step)
        if following is None:
            return False
        self.phase = following
        return True

    def _check(self, role: Role, epoch: int) -> None:
        if self._role is not role or epoch > self.epoch + 1:
            raise ProtocolViolation(CloseCode.REKEY, "a change of keys out of turn")

    def _fresh(self) -> tuple[X25519PrivateKey, bytes]:
        private = X25519PrivateKey.from_private_bytes(self._random(_KEY_BYTES))
        return private, private.public_key().public_bytes_raw()

    def _derive(self, private: X25519PrivateKey, public: bytes, exchanged: Exchange) -> DirectionKeys:
        """Make the keys of the next epoch: open with one from now on, return the other."""
        try:
            secrets = next_epoch(self._root, private, public, exchanged)
        except BadDatagram:
            raise ProtocolViolation(CloseCode.REKEY, "a key that is none") from None
        self._root = secrets.root
        client = self._role is Role.INITIATOR
        send, receive = (secrets.client, secrets.server) if client else (secrets.server, secrets.client)
        if self.log is not None:
            write, names = self.log
            write(data_line(names.peer_cid, names.peer_header_key, exchanged.epoch, send))
            write(data_line(names.own_cid, names.own_header_key, exchanged.epoch, receive))
        self._receive.expect(exchanged.epoch, DirectionKeys(receive).aead)
        return DirectionKeys(send, exchanged.epoch)

    def _turn(self, keys: DirectionKeys, *, now: float) -> None:
        self._send.turn(keys.epoch, keys.aead)
        self._restart(now=now)
