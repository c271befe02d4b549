"""The asking side of a handshake: HELLO to every candidate, again and again, until a WELCOME opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from clawchat.crypto.credential import Credential
from clawchat.crypto.derive import wipe
from clawchat.crypto.header import HeaderMask
from clawchat.crypto.keylog import KeyLog
from clawchat.crypto.noise import Initiator, Secrets
from clawchat.session.build import Agreement
from clawchat.session.hellos import BUCKET_SECONDS
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram
from clawchat.values.events import Role
from clawchat.values.limits import (
    HEADER_EPOCH_WELCOME,
    HELLO_RETRIES,
    JITTER,
    MAX_INITIATOR_TRIES,
    MEETING_PRIME_INTERVAL,
    RELAYED_BASE_DATAGRAM,
)
from clawchat.wire.handshake import EPHEMERAL_BYTES, Hello, open_welcome, seal_hello
from clawchat.wire.packet import CID_BYTES

_SMALLEST_HELLO = 640
"""Room for sixteen IPv6 candidates in the HELLO and as much in the WELCOME that must fit in its length."""
_UNIT = 1 << 16


class _Try(NamedTuple):
    noise: Initiator
    sent_at: float
    hello: Hello


class Welcomed(NamedTuple):
    """What a WELCOME yields; ``rtt`` in seconds, ``told`` is where its HELLO said that we may be reached."""

    agreement: Agreement
    secrets: Secrets
    rtt: float
    told: tuple[Address, ...]


class Attempt:
    """One attempt to join a server; it answers to ``cids`` until its session does to one of them."""

    __slots__ = (
        "_credential",
        "_header_key",
        "_keylog",
        "_keys",
        "_new_cid",
        "_next_at",
        "_offered",
        "_own",
        "_paths",
        "_prime_ttl",
        "_prologue",
        "_random",
        "_retry",
        "_tries",
        "_unix_offset",
        "deadline",
        "id",
    )

    def __init__(  # noqa: PLR0913 - everything an attempt needs
        self,
        attempt_id: int,
        credential: Credential,
        *,
        new_cid: Callable[[], bytes],
        header_key: bytes | bytearray,
        port: int,
        own: Sequence[Address],
        direct: bool,
        random: Callable[[int], bytes],
        keylog: KeyLog | None,
        unix_offset: float,
        deadline: float,
        now: float,
    ) -> None:
        self.id = attempt_id
        self.deadline = deadline
        self._credential = credential
        self._keys = credential.keys()
        self._prologue = credential.prologue()
        self._new_cid = new_cid
        self._header_key = header_key
        self._own = tuple(own)
        self._random = random
        self._keylog = keylog
        self._paths = [Path(port, candidate) for candidate in credential.candidates] if direct else []
        self._tries: deque[_Try] = deque(maxlen=MAX_INITIATOR_TRIES)
        self._retry = 0
        self._next_at = now
        self._offered: list[_Try] = []
        self._prime_ttl: int | None = None
        self._unix_offset = unix_offset

    def next_timeout(self) -> float:
        """Return when the next HELLO is due, or the attempt ends."""
        return min(self._next_at, self.deadline)

    @property
    def ways(self) -> tuple[Path, ...]:
        """The paths that are tried."""
        return tuple(self._paths)

    def add_path(self, path: Path, own: Sequence[Address]) -> None:
        """Try one more path from the next HELLO on, which says that we may be reached at ``own``."""
        self._paths.append(path)
        self._own = tuple(own)

    def hurry(self, *, now: float) -> None:
        """Send the next HELLO now, and soon again: the network changed."""
        self._retry = 0
        self._next_at = now

    def transmit(self, out: list[Transmit], *, now: float) -> None:
        """Append the HELLOs that are due: one message for all candidates, with an ephemeral key of its own.

        WebSockets get another one: a copy of what came by UDP already would not be answered, and where UDP passes
        in one direction only, the answer to that one is lost.
        """
        if now < self._next_at:
            return
        ttl = self._prime_ttl
        for tunnelled in (False, True):
            paths = [path for path in self._paths if path.tunnelled is tunnelled]
            if paths:
                datagram, attempted = self._seal(now)
                self._tries.append(attempted)
                out.extend(Transmit(datagram, len(datagram), path, ttl) for path in paths)
        wait = HELLO_RETRIES[min(self._retry, len(HELLO_RETRIES) - 1)] if ttl is None else MEETING_PRIME_INTERVAL
        share = int.from_bytes(self._random(2), "big") / _UNIT
        self._next_at = now + wait * (1 - JITTER + 2 * JITTER * share)
        self._retry += 1

    def relayed_paths(self) -> list[Path]:
        """Return the paths through relays that were tried."""
        return [path for path in self._paths if path.relayed]

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Return the server's addresses, as the credential says."""
        return self._credential.candidates

    def offer(self, *, prime_ttl: int | None, now: float) -> bytes:
        """Return a HELLO to be carried by other means; with a ``prime_ttl`` those sent now only open our own NAT."""
        self._prime_ttl = prime_ttl
        datagram, attempted = self._seal(now)
        self._offered.append(attempted)
        return datagram

    def _seal(self, now: float) -> tuple[bytes, _Try]:
        noise = Initiator(
            self._prologue,
            self._keys.psk,
            self._credential.server_key,
            self._random(EPHEMERAL_BYTES),
            self._keylog,
        )
        size = _SMALLEST_HELLO + int.from_bytes(self._random(2), "big") % (RELAYED_BASE_DATAGRAM - _SMALLEST_HELLO + 1)
        # Whoever answers two of them begins two sessions. Under one cid their first packets would have one header, and
        # one header block twice is what nobody may see.
        hello = Hello(self._new_cid(), self._header_key, self._own, int((now + self._unix_offset) // BUCKET_SECONDS))
        datagram = seal_hello(
            self._credential, self._keys, noise, hello, random=self._random, size=size, keylog=self._keylog
        )
        return datagram, _Try(noise, now, hello)

    @property
    def cids(self) -> list[bytes]:
        """The cids that a WELCOME may name, one for each HELLO that is still waited for."""
        return [attempt.hello.cid for attempt in (*self._tries, *self._offered)]

    def receive(self, header: bytes, datagram: memoryview, *, now: float) -> Welcomed:
        """Take the WELCOME to any of our HELLOs. Raises BadDatagram."""
        if int.from_bytes(header[CID_BYTES : CID_BYTES + 2], "big") != HEADER_EPOCH_WELCOME:
            raise BadDatagram("early")
        cid = header[:CID_BYTES]
        attempt = next((one for one in (*self._tries, *self._offered) if one.hello.cid == cid), None)
        if attempt is None:
            raise BadDatagram("unknown")
        welcome = open_welcome(datagram, self._keys, attempt.noise, attempt.hello, keylog=self._keylog)
        agreement = Agreement(
            role=Role.INITIATOR,
            slot_id=self._credential.slot_id,
            slot_name=self._credential.name,
            own_cid=cid,
            own_header_key=self._header_key,
            peer_cid=welcome.cid,
            peer_header_key=welcome.header_key,
            peer_header=HeaderMask(welcome.header_key),
            parameters=welcome.parameters,
            peer_candidates=welcome.candidates,
            observed=welcome.observed if welcome.observed.port else None,
        )
        return Welcomed(agreement, attempt.noise.finish(), now - attempt.sent_at, attempt.hello.candidates)

    def wipe(self) -> None:
        """Overwrite the keys; the attempt is over."""
        wipe(*self._keys)
        self._tries.clear()
        self._offered.clear()
