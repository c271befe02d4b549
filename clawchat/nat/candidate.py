"""Addresses at which an end might be reached: of what kind, how fresh, and which to try first."""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from clawchat.nat.scope import is_public
from clawchat.values.address import Address
from clawchat.values.timers import NEVER

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class Kind(Enum):
    """How we know of an address. The order is that of belief: an address known in two ways counts as the first."""

    HOST = "host"
    """An address of the machine itself."""

    MAPPED = "mapped"
    """A router was asked for it, and holds it open."""

    SERVER_REFLEXIVE = "server-reflexive"
    """A server saw us there."""

    PEER_REFLEXIVE = "peer-reflexive"
    """The peer saw us there."""

    PREDICTED = "predicted"
    """A NAT is expected to put us there."""

    RELAYED = "relayed"
    """A relay takes what is for us there."""


LIFE: Final[Mapping[Kind, float]] = MappingProxyType(
    {
        Kind.HOST: NEVER,
        Kind.MAPPED: NEVER,
        Kind.SERVER_REFLEXIVE: 120.0,
        Kind.PEER_REFLEXIVE: 120.0,
        Kind.PREDICTED: 30.0,
        Kind.RELAYED: NEVER,
    }
)
"""Seconds an address is worth offering after it was last heard of.

Who knows an interface, a lease or a relay withdraws it; a NAT forgets a UDP mapping in two minutes (RFC 4787
section 4.3), and a prediction is only as good as its last observation.
"""


class Rank(Enum):
    """In which order a peer's addresses are worth trying; all are tried, the first that answers is used."""

    SAME_SUBNET = 0
    IPV6 = 1
    MAPPED = 2
    """Also a public IPv4 address of the machine itself: nothing need be opened for it."""

    REFLEXIVE = 3
    PREDICTED = 4
    ELSEWHERE = 5
    """A private address of some other network; now and then a VPN leads there."""

    RELAYED = 6


_RANKS: Final = {
    Kind.MAPPED: Rank.MAPPED,
    Kind.SERVER_REFLEXIVE: Rank.REFLEXIVE,
    Kind.PEER_REFLEXIVE: Rank.REFLEXIVE,
    Kind.PREDICTED: Rank.PREDICTED,
    Kind.RELAYED: Rank.RELAYED,
}


class Candidate(NamedTuple):
    """One address, how we know of it, and when we last heard so."""

    address: Address
    kind: Kind
    heard_at: float

    def is_fresh(self, *, now: float) -> bool:
        """Tell whether it is still worth offering."""
        return now - self.heard_at < LIFE[self.kind]


def rank(address: Address, kind: Kind, subnets: Sequence[Network]) -> Rank:
    """Rank a peer's address as seen from a machine in ``subnets``."""
    host = ipaddress.ip_address(address.host)
    if kind is Kind.RELAYED:
        return Rank.RELAYED
    if any(host in subnet for subnet in subnets):
        return Rank.SAME_SUBNET
    public = is_public(address.host)
    if address.is_ipv6 and public:
        return Rank.IPV6
    if kind is Kind.HOST:
        return Rank.MAPPED if public else Rank.ELSEWHERE
    return _RANKS[kind]


class CandidateSet:
    """The candidates of one end; ``generation`` grows with every change, so that offers can be told apart."""

    def __init__(self) -> None:
        self.generation = 0
        self._kinds: dict[Kind, dict[Address, float]] = {kind: {} for kind in Kind}

    def replace(self, kind: Kind, addresses: Iterable[Address], *, now: float) -> bool:
        """Say which addresses of one kind there are; tell whether the offer changed by it."""
        before = self.offer(now=now)
        self._kinds[kind] = dict.fromkeys(addresses, now)
        return self._note(before, now)

    def add(self, kind: Kind, address: Address, *, now: float) -> bool:
        """Add an address, or hear of it again; tell whether the offer changed by it."""
        before = self.offer(now=now)
        self._kinds[kind][address] = now
        return self._note(before, now)

    def prune(self, *, now: float) -> bool:
        """Forget what is no longer fresh; tell whether anything was."""
        stale = [
            (kind, address)
            for kind, known in self._kinds.items()
            for address, heard_at in known.items()
            if not Candidate(address, kind, heard_at).is_fresh(now=now)
        ]
        for kind, address in stale:
            del self._kinds[kind][address]
        self.generation += bool(stale)
        return bool(stale)

    def candidates(self, *, now: float) -> list[Candidate]:
        """Return what is fresh, each address once under the kind we believe most, in the order of belief."""
        found: dict[Address, Candidate] = {}
        for kind, known in self._kinds.items():
            for address, heard_at in known.items():
                candidate = Candidate(address, kind, heard_at)
                if candidate.is_fresh(now=now):
                    found.setdefault(address, candidate)
        return list(found.values())

    def offer(self, *, now: float, limit: int | None = None) -> tuple[Address, ...]:
        """Return the addresses to tell a peer, at most ``limit``: every kind gets its share before any has more."""
        found = self.candidates(now=now)
        if limit is None or len(found) <= limit:
            return tuple(each.address for each in found)
        of_a_kind = [[each for each in found if each.kind is kind] for kind in Kind]
        in_turn = itertools.chain.from_iterable(itertools.zip_longest(*of_a_kind))
        kept = {each.address for each in itertools.islice(filter(None, in_turn), limit)}
        return tuple(each.address for each in found if each.address in kept)

    def _note(self, before: tuple[Address, ...], now: float) -> bool:
        changed = self.offer(now=now) != before
        self.generation += changed
        return changed
