"""One end of a rival's punch: learn our outside addresses, be introduced, probe. Pure, like our own core."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final, NamedTuple

from clawchat.values.address import Address
from clawchat.values.timers import NEVER
from lab.strategies.messages import Kind, Message, decode, encode
from lab.strategies.moves import (
    BIRTHDAY_GIVE_UP,
    CHECK_INTERVAL,
    GIVE_UP,
    HARD_PORTS,
    PROBE_RATE,
    PROBES,
    random_ports,
)
from lab.strategies.strategy import Strategy

MAIN: Final = 0
"""The number of the port whose outside address is told to the peer; those of the others follow."""

ASK_INTERVAL: Final = 0.1
"""Seconds between two questions to a public host that has not answered."""

SIGNAL_TIME: Final = 5.0
"""Seconds in which both ends have to be introduced."""


class Shot(NamedTuple):
    """A datagram to send from one of our ports; the driver opens a port when it is first used."""

    port: int
    to: Address
    data: bytes


class Introduction(NamedTuple):
    """What an end has to know before it begins."""

    servers: Sequence[Address]
    """Two addresses of public hosts; the first one is the rendezvous."""
    room: str
    role: str


class Rival:
    """One end. ``deadline`` is when ``take`` has something; ``late`` is how long it sleeps when it is told to begin.

    ``signalled_at`` is when it was told, ``direct_at`` when a probe of its own was first answered, and ``sent``
    counts what went towards the peer until then.
    """

    def __init__(self, strategy: Strategy, introduction: Introduction, *, late: float, seed: str, now: float) -> None:
        self.signalled_at: float | None = None
        self.direct_at: float | None = None
        self.sent = 0
        self.deadline = now
        self._strategy = strategy
        self._introduction = introduction
        self._late = late
        self._random = Random(seed)
        self._tokens = (f"{introduction.role}{number}" for number in itertools.count())
        self._own: Address | None = None
        self._seen: dict[Address, Address] = {}
        self._ends_at = now + SIGNAL_TIME
        self._awake_at = now
        self._waiting: list[tuple[bytes, int, Address]] = []
        self._out: list[Shot] = []
        self._peer: tuple[Address, ...] = ()
        self._peer_changes = False
        self._asked: dict[str, float] = {}
        self._next_check = NEVER
        self._guesses: Iterator[int] = iter(())
        self._guessed = 0
        self._guess_from = NEVER

    @property
    def over(self) -> bool:
        """Tell whether it has a direct path, or has given up."""
        return self.direct_at is not None or self.deadline == NEVER

    @property
    def changing(self) -> bool:
        """Tell whether our NAT gave the two hosts two ports."""
        return len(set(self._seen.values())) > 1

    def opened(self, address: Address) -> None:
        """Learn the inside address of our main port."""
        self._own = address

    def receive(self, data: bytes, port: int, source: Address, *, now: float) -> None:
        """Take in a datagram."""
        if now < self._awake_at:
            self._waiting.append((data, port, source))
            return
        message = decode(data)
        match message.kind if message is not None else None:
            case Kind.SEEN if message is not None and message.addresses:
                self._seen[source] = message.addresses[0]
                self.deadline = now
            case Kind.GO if message is not None and self.signalled_at is None:
                self._begin(message, now)
            case Kind.PROBE if message is not None:
                self._reply(message, port, source, now)
            case Kind.ANSWER if message is not None and message.token in self._asked and self.direct_at is None:
                self.direct_at = now
                self.deadline = NEVER

    def take(self, *, now: float) -> list[Shot]:
        """Return the datagrams to send now."""
        if self._waiting and now >= self._awake_at:
            waiting, self._waiting = self._waiting, []
            for data, port, source in waiting:
                self.receive(data, port, source, now=now)
        if now >= self.deadline:
            if self.signalled_at is None:
                self._introduce(now)
            else:
                self._probe(now)
        shots, self._out = self._out, []
        return shots

    # --- before -----------------------------------------------------------------------------------

    def _introduce(self, now: float) -> None:
        if now >= self._ends_at:
            self.deadline = NEVER
            return
        self.deadline = now + ASK_INTERVAL
        servers = self._introduction.servers
        missing = [server for server in servers if server not in self._seen]
        for server in missing:
            self._out.append(Shot(MAIN, server, encode(Message(Kind.SEE))))
        if missing:
            return
        told = dict.fromkeys((*self._seen.values(), *([self._own] if self._own else [])))
        room, role = self._introduction.room, self._introduction.role
        said = Message(Kind.JOIN, room=room, role=role, addresses=tuple(told), changing=self.changing)
        self._out.append(Shot(MAIN, servers[0], encode(said)))

    def _begin(self, message: Message, now: float) -> None:
        self.signalled_at = now
        self._awake_at = self.deadline = now + self._late
        self._peer, self._peer_changes = message.addresses, message.changing
        birthday = self._strategy is Strategy.BIRTHDAY and self.changing is not self._peer_changes
        self._ends_at = self._awake_at + (BIRTHDAY_GIVE_UP if birthday else GIVE_UP)
        self._next_check = self._awake_at
        if birthday:
            self._guesses = random_ports(self._random)
            self._guess_from = self._awake_at

    # --- probing ----------------------------------------------------------------------------------

    def _probe(self, now: float) -> None:
        if now >= self._ends_at:
            self.deadline = NEVER
            return
        if now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            for address in self._peer:
                self._ask(MAIN, address, now)
        if now >= self._guess_from:
            self._guess(now)
        self.deadline = min(self._next_check, self._guess_from, self._ends_at)

    def _guess(self, now: float) -> None:
        """Open many ports if our NAT changes them, else probe the next ones of a peer whose NAT does."""
        if self.changing:
            self._guess_from = NEVER
            for port in range(1, HARD_PORTS + 1):
                self._ask(port, self._peer[0], now)
            return
        self._guessed += 1
        self._ask(MAIN, Address(self._peer[0].host, next(self._guesses)), now)
        self._guess_from = now + 1 / PROBE_RATE if self._guessed < PROBES else NEVER

    def _ask(self, port: int, to: Address, now: float) -> None:
        token = next(self._tokens)
        self._asked[token] = now
        self._towards(Shot(port, to, encode(Message(Kind.PROBE, token=token))))

    def _reply(self, message: Message, port: int, source: Address, now: float) -> None:
        self._towards(Shot(port, source, encode(Message(Kind.ANSWER, token=message.token))))
        if self.direct_at is None and self.signalled_at is not None:
            # A triggered check (RFC 8445 section 7.3.1.4): what reached us is probed at once.
            self._ask(port, source, now)

    def _towards(self, shot: Shot) -> None:
        self._out.append(shot)
        if self.direct_at is None:
            self.sent += 1
