"""The answering side of handshakes: armed slots, what they have seen, and how many answers they may cost."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple

from clawchat.crypto.credential import Slot
from clawchat.crypto.header import HeaderCipher, HeaderMask
from clawchat.crypto.keylog import KeyLog
from clawchat.crypto.noise import Secrets
from clawchat.session.build import PARAMETERS, Agreement
from clawchat.session.hellos import SeenHellos
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram, UsageError
from clawchat.values.events import Role
from clawchat.values.limits import (
    BLOCK,
    HANDSHAKE_BURST,
    HANDSHAKE_RATE,
    MAX_HELLO,
    MIN_HELLO,
)
from clawchat.values.timers import NEVER
from clawchat.wire.handshake import EPHEMERAL_BYTES, Welcome, open_hello, seal_welcome, unseal_hello

_SLOT_ID_BYTES = 8


class Answer(NamedTuple):
    """A WELCOME to send, and what the new session is made of."""

    datagram: bytes
    agreement: Agreement
    secrets: Secrets


class _Armed:
    """A slot that may be joined until ``deadline``, and the ephemeral keys it has seen."""

    __slots__ = ("deadline", "seen", "slot")

    def __init__(self, slot: Slot, deadline: float) -> None:
        self.slot = slot
        self.deadline = deadline
        self.seen = SeenHellos(reusable=slot.reusable)


class Budget:
    """A bucket of handshakes: ``burst`` at once, ``rate`` a second."""

    __slots__ = ("_at", "_left", "burst", "rate")

    def __init__(self, rate: float = HANDSHAKE_RATE, burst: int = HANDSHAKE_BURST) -> None:
        self.rate = rate
        self.burst = burst
        self._left = float(burst)
        self._at = 0.0

    def take(self, *, now: float) -> bool:
        """Use up one handshake; tell whether there was one."""
        self._left = min(self.burst, self._left + (now - self._at) * self.rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Responder:
    """Find the slot a HELLO is for, and answer it if it is authentic, new and within the budget."""

    __slots__ = ("_armed", "_budget", "_masks", "_random", "deadline")

    def __init__(self, random: Callable[[int], bytes], budget: Budget) -> None:
        self._random = random
        self._budget = budget
        self._armed: dict[bytes, _Armed] = {}
        self.deadline = NEVER  # when the next slot ends
        self._masks: dict[bytes, HeaderCipher] = {}

    def arm(self, slot: Slot, deadline: float) -> None:
        """Let a slot be joined until ``deadline``."""
        credential = slot.credential
        if credential.slot_id in self._armed:
            raise UsageError("this slot is armed already")
        self._armed[credential.slot_id] = _Armed(slot, deadline)
        self._refresh()

    def disarm(self, slot_id: bytes) -> Slot | None:
        """Let a slot be joined no more; return it for its owner to wipe."""
        armed = self._armed.pop(slot_id, None)
        self._refresh()
        return None if armed is None else armed.slot

    def _refresh(self) -> None:
        self.deadline = min((armed.deadline for armed in self._armed.values()), default=NEVER)
        keys = [armed.slot.credential.hello_header_key for armed in self._armed.values()]
        named = {sha256(key).digest(): key for key in keys}  # a key must not stay in bytes, which can't be wiped
        self._masks = {name: self._masks.get(name) or HeaderCipher(key) for name, key in named.items()}

    def armed(self) -> list[bytes]:
        """List the ids of the slots that may be joined."""
        return list(self._armed)

    def mailboxes(self) -> dict[bytes, bytes]:
        """Return what names the meeting place of each slot that may be joined."""
        return {slot_id: bytes(armed.slot.keys.mailbox) for slot_id, armed in self._armed.items()}

    def is_reusable(self, slot_id: bytes) -> bool:
        """Tell whether an armed slot outlives the first client that joins."""
        armed = self._armed.get(slot_id)
        return armed is not None and armed.slot.reusable

    def is_lasting(self, slot_id: bytes) -> bool:
        """Tell whether an armed slot is to be burnt by its owner alone."""
        armed = self._armed.get(slot_id)
        return armed is not None and armed.slot.lasting

    def expired(self, *, now: float) -> list[bytes]:
        """List the slots whose time is over."""
        return [slot_id for slot_id, armed in self._armed.items() if armed.deadline <= now]

    def find(self, datagram: memoryview) -> bytes | None:
        """Return the id of the slot that a datagram's header block names, None for a stranger's."""
        if not MIN_HELLO <= len(datagram) <= MAX_HELLO:
            return None
        block = datagram[:BLOCK]
        for mask in self._masks.values():
            slot_id = mask.unmask(block)[:_SLOT_ID_BYTES]
            if slot_id in self._armed:
                return slot_id
        return None

    def answer(  # noqa: PLR0913 - what a WELCOME says of this end
        self,
        slot_id: bytes,
        datagram: memoryview,
        path: Path,
        *,
        cid: bytes,
        header_key: bytes | bytearray,
        candidates: tuple[Address, ...],
        keylog: KeyLog | None,
        bucket: int,
        now: float,
    ) -> Answer:
        """Answer a HELLO. Raises BadDatagram, and then nothing has changed but the budget."""
        armed = self._armed[slot_id]
        slot = armed.slot
        message = unseal_hello(datagram, slot, keylog=keylog)
        ephemeral = message[:EPHEMERAL_BYTES]
        armed.seen.check(ephemeral)
        if not self._budget.take(now=now):
            raise BadDatagram("budget")
        hello, noise = open_hello(message, slot, keylog=keylog)
        armed.seen.judge(hello.bucket, bucket)
        armed.seen.add(ephemeral, bucket)
        header = HeaderMask(hello.header_key)
        welcome = Welcome(cid, header_key, path.remote, candidates, PARAMETERS)
        welcome_datagram = seal_welcome(
            slot.keys,
            noise,
            hello,
            header,
            welcome,
            ephemeral=self._random(EPHEMERAL_BYTES),
            random=self._random,
            size=welcome_size(len(datagram), self._random),
            keylog=keylog,
        )
        agreement = Agreement(
            role=Role.RESPONDER,
            slot_id=slot_id,
            slot_name=slot.credential.name,
            own_cid=cid,
            own_header_key=header_key,
            peer_cid=hello.cid,
            peer_header_key=hello.header_key,
            peer_header=header,
            parameters=PARAMETERS,
            peer_candidates=hello.candidates,
            observed=None,
        )
        return Answer(welcome_datagram, agreement, noise.finish())


def welcome_size(hello_size: int, random: Callable[[int], bytes]) -> int:
    """Draw the length of a WELCOME: never longer than its HELLO, never the same for long."""
    return hello_size - int.from_bytes(random(2), "big") % ((hello_size - MIN_HELLO) // 2 + 1)
