"""Whose datagram is this: from the masked header of each to the session it names, in batches."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

from clawchat.crypto.header import HeaderCipher
from clawchat.session.session import Session
from clawchat.values.address import Path
from clawchat.values.errors import BadDatagram
from clawchat.values.limits import BLOCK, MAX_DATAGRAM, MIN_PACKET
from clawchat.wire.packet import BATCH_SIZES, CID_BYTES, BatchOpener, Run


class Stranger(Protocol):
    """Takes a datagram that names no session, with its plain header. Raises BadDatagram."""

    def __call__(self, header: bytes, datagram: memoryview, path: Path, *, now: float) -> None:
        """Take it."""


class Demultiplexer:
    """Unmask, look up, hand on; whatever is refused is counted by its reason and forgotten.

    ``sessions`` is by cid; a session that took something is put into ``awake``. Buffers for batches are made
    only once a datagram of their size names a session.
    """

    __slots__ = ("_awake", "_header", "_openers", "_stranger", "drops", "over", "sessions")

    def __init__(self, header: HeaderCipher, awake: dict[Session, None], stranger: Stranger) -> None:
        self._header = header
        self._awake = awake
        self._stranger = stranger
        self._openers: dict[int, BatchOpener] = {}
        self.sessions: dict[bytes, Session] = {}
        self.drops: Counter[str] = Counter()
        self.over = False

    def forget(self) -> None:
        """Let go of the header key: whatever arrives is refused from now on."""
        self.over = True
        self._header.forget()
        self._openers.clear()
        self.sessions.clear()

    def receive(self, data: memoryview, size: int, path: Path, *, now: float) -> None:
        """Take datagrams of ``size`` bytes each, the last perhaps shorter, that came end to end by one path."""
        if self.over:
            self.drops["over"] += 1
            return
        total = len(data)
        if total <= size:
            self._receive_one(data, path, now=now)
            return
        at = 0
        opener = self._openers.get(size)
        if opener is None and size in BATCH_SIZES and self._header.unmask(data[:BLOCK])[:CID_BYTES] in self.sessions:
            opener = self._openers[size] = BatchOpener(size)
        if opener is not None:
            step = opener.capacity * size
            while total - at >= size:
                length = min(step, (total - at) // size * size)
                self._receive_batch(opener, data[at : at + length], path, now=now)
                at += length
        while at < total:
            self._receive_one(data[at : at + size], path, now=now)
            at += size

    def _receive_batch(self, opener: BatchOpener, data: memoryview, path: Path, *, now: float) -> None:
        count = opener.load(data, self._header)
        for run in opener.runs(count):
            session = self.sessions.get(run.cid)
            if session is not None and run.length > 1 and session.receive_run(opener, run, path, now=now):
                self._awake[session] = None
            else:
                self._receive_each(opener, run, session, path, now=now)

    def _receive_each(self, opener: BatchOpener, run: Run, session: Session | None, path: Path, *, now: float) -> None:
        for index in range(run.start, run.start + run.length):
            if session is None:
                self._receive_stranger(opener.header(index), opener.packet(index), path, now=now)
            else:
                self._receive_known(session, opener.header(index), opener.packet(index), path, now=now)

    def _receive_one(self, datagram: memoryview, path: Path, *, now: float) -> None:
        if not MIN_PACKET <= len(datagram) <= MAX_DATAGRAM:
            self.drops["length"] += 1
            return
        header = self._header.unmask(datagram[:BLOCK])
        session = self.sessions.get(header[:CID_BYTES])
        if session is None:
            self._receive_stranger(header, datagram, path, now=now)
        else:
            self._receive_known(session, header, datagram, path, now=now)

    def _receive_known(self, session: Session, header: bytes, datagram: memoryview, path: Path, *, now: float) -> None:
        try:
            session.receive_one(header, datagram, path, now=now)
        except BadDatagram as refused:
            self.drops[refused.reason] += 1
        else:
            self._awake[session] = None

    def _receive_stranger(self, header: bytes, datagram: memoryview, path: Path, *, now: float) -> None:
        try:
            self._stranger(header, datagram, path, now=now)
        except BadDatagram as refused:
            self.drops[refused.reason] += 1
