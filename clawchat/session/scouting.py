"""What this end knows of its own place: ports and spare ones, what relays saw of them, how its NAT behaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import count
from typing import Final

from clawchat.nat.depth import DEEPEST
from clawchat.nat.mapping import (
    DRIFT_MARGIN,
    MAX_WINDOW,
    WINDOW,
    Allocation,
    Mapping,
    Observation,
    classify,
)
from clawchat.nat.punch import SHORTEST_TTL
from clawchat.nat.punch_memory import Memory
from clawchat.nat.scope import is_public
from clawchat.values.address import Address, Path
from clawchat.values.events import ClosePort, Event, OpenPort
from clawchat.values.habit import BLOCKED, UNKNOWN, Habit, Ports
from clawchat.values.limits import BLIND_PRIME_TTL, MAX_OBSERVED_CANDIDATES, MAX_SPARES

FIRST_HANDLE: Final = 1000
"""Handles of ports that the endpoint itself opens begin here; those of the program's ports are small."""

_PORTS: Final = {
    Allocation.UNKNOWN: Ports.UNKNOWN,
    Allocation.PRESERVING: Ports.PRESERVING,
    Allocation.ENDPOINT_INDEPENDENT: Ports.STEADY,
    Allocation.SEQUENTIAL: Ports.COUNTING,
    Allocation.RANDOM: Ports.RANDOM,
}


class Scout:
    """Hold the ports of an endpoint and judge its NAT by what relays say they saw.

    ``ports`` are the program's, by handle. ``changes`` grows whenever the peer should hear something new.
    Until ``feeling_until`` it is about to be known how far opening packets have to go. ``blocked`` says that relays
    are reached, but none by UDP.
    """

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.ports: dict[int, Address] = {}
        self.memory = Memory()
        self.prime_ttl = BLIND_PRIME_TTL
        self.feeling_until = 0.0
        self.blocked = False
        self._sure = False
        self.changes = 0
        self._emit = emit
        self._own: dict[int, Address | None] = {}  # ports we asked for; None until they are open
        self._spares: list[int] = []
        self._seen: dict[tuple[int, Address], Observation] = {}
        self._mapping: Mapping | None = None
        self._judged = True  # whether the mapping is what all that was seen says
        self._handles = count(FIRST_HANDLE)
        self._gathered_at: float | None = None
        self._heard = False

    def set_depth(self, hops: int | None) -> None:
        """Learn how far the first public router is, None if unknown.

        A packet that ends there has passed all our NATs and can't have met one of the peer's.
        """
        self.feeling_until = 0.0
        self._sure = hops is not None
        self.prime_ttl = BLIND_PRIME_TTL if hops is None else min(max(hops, SHORTEST_TTL), DEEPEST)

    def await_depth(self, until: float) -> None:
        """Open no NAT until the depth is known, or until some time: blind packets may go too far."""
        if not self._sure:
            self.feeling_until = until

    # --- ports -------------------------------------------------------------------------------------

    def opened(self, handle: int, address: Address) -> bool:
        """Learn that a port is open; tell whether it was the program's."""
        if handle in self._own:
            self._own[handle] = address
            return False
        self.ports[handle] = address
        return True

    def failed(self, handle: int) -> None:
        """Learn that a port could not be opened, or is closed."""
        self.ports.pop(handle, None)
        self._forget(handle)

    def request(self, number: int) -> list[int]:
        """Ask for ports; return their handles."""
        handles = [next(self._handles) for _ in range(number)]
        for handle in handles:
            self._own[handle] = None
            self._emit(OpenPort(handle, None))
        return handles

    def open(self, address: Address) -> int:
        """Ask for a port at an address; return its handle."""
        handle = next(self._handles)
        self._own[handle] = None
        self._emit(OpenPort(handle, address))
        return handle

    def adopt(self, handle: int) -> None:
        """Let a port that was asked for take the place of the program's, which go on hearing."""
        address = self._own.pop(handle, None)
        if address is not None:
            self.ports = {handle: address, **self.ports}

    def retire(self, handle: int) -> None:
        """Offer a port no more; it stays open until ``close``."""
        self.ports.pop(handle, None)
        self._forget(handle)

    def close(self, handle: int) -> None:
        """Have a port closed."""
        self._emit(ClosePort(handle))

    def local(self, handle: int) -> Address | None:
        """Return what a port is bound to."""
        return self.ports.get(handle) or self._own.get(handle)

    def seen_of(self, handle: int) -> list[Address]:
        """List what relays saw of a port."""
        return [each.observed for (port, _), each in self._seen.items() if port == handle]

    def release(self, handles: Iterable[int]) -> None:
        """Close ports that were asked for."""
        for handle in handles:
            if handle in self._own:
                self._forget(handle)
                self._emit(ClosePort(handle))

    def ready(self, handles: Iterable[int]) -> list[int]:
        """List those of these ports that are open."""
        return [handle for handle in handles if self._own.get(handle) is not None]

    def spares(self) -> list[int]:
        """List the open spare ports."""
        return self.ready(self._spares)

    def keep(self, handle: int, *, instead_of: int | None) -> int | None:
        """Let a port be a session's own, and close the one it had; return it, None if it is the program's."""
        if handle in self._spares:
            self._spares.remove(handle)
        if instead_of not in {None, handle}:
            self.release([instead_of])
        return None if handle in self.ports else handle

    def gather(self, *, now: float) -> None:
        """Have spare ports that nobody has used yet."""
        self._gathered_at = now
        used, self._spares = self._spares, self.request(MAX_SPARES)
        self.release(used)

    @property
    def heard(self) -> bool:
        """Tell whether anybody has ever told us what he sees."""
        return self._heard

    def moved(self) -> None:
        """Forget what was seen: our addresses changed."""
        self._seen.clear()
        self._judged = False
        self._gathered_at = None
        self.changes += 1

    def stale(self, life: float, *, now: float) -> bool:
        """Tell whether what relays saw is older than ``life`` seconds, or sessions have taken all spare ports."""
        return self._gathered_at is None or now - self._gathered_at > life or not self._spares

    def _forget(self, handle: int) -> None:
        self._own.pop(handle, None)
        for key in [key for key in self._seen if key[0] == handle]:
            del self._seen[key]
            self._judged = False

    # --- what relays saw ---------------------------------------------------------------------------

    def observe(self, path: Path, observed: Address, *, at: float) -> bool:
        """Learn as what a server saw one of our ports, by a datagram that left ``at``; tell whether it is news."""
        local = self.ports.get(path.port) or self._own.get(path.port)
        if local is None:
            return False
        self._heard = True
        self.blocked = False
        key = path.port, path.remote
        known = self._seen.get(key)
        if known is not None and known.observed == observed:
            return False
        # a mapping that took the place of another one is the newest
        self._seen.pop(key, None)
        self._seen[key] = Observation(local.port, path.remote, observed, at)
        self._judged = False
        self.changes += 1
        return True

    def knows(self, path: Path, *, since: float) -> bool:
        """Tell whether a server has said by this path what it sees, of a datagram that left ``since`` then."""
        known = self._seen.get((path.port, path.remote))
        return known is not None and known.at >= since

    def mapping(self) -> Mapping | None:
        """Judge our NAT."""
        if self._judged:
            return self._mapping
        order = [each for each in self._seen.values() if not each.observed.is_ipv6]
        # two relays asked at once answer in any order; a NAT that counts took the lower port first
        order.sort(key=lambda each: (each.at, each.observed.port))
        self._mapping = classify(order)
        self._judged = True
        return self._mapping

    def habit(self, *, now: float) -> Habit:
        """Say to a peer how our NAT behaves."""
        mapping = self.mapping()
        if mapping is None:
            return BLOCKED if self.blocked else UNKNOWN
        age = max(0.0, now - mapping.last_at)
        window = min(MAX_WINDOW, WINDOW + math.ceil(DRIFT_MARGIN * mapping.drift * age))
        ports = _PORTS[mapping.allocation]
        if ports is Ports.UNKNOWN:
            return UNKNOWN
        return Habit(ports, mapping.step, window, mapping.lowest, mapping.highest, mapping.last)

    def offer(self, told: Iterable[Address]) -> tuple[Address, ...]:
        """List where this end may be reached: what relays saw first, then what the program told, then guesses.

        A guess is where we are seen, with our own port number: somebody may have mapped it by hand.
        """
        mine = {key: each for key, each in self._seen.items() if key[0] in self.ports}
        seen = [each.observed for each in mine.values()]
        guesses = [Address(each.observed.host, self.ports[handle].port) for (handle, _), each in mine.items()]
        found = [*dict.fromkeys([*seen, *told, *self.ports.values(), *guesses])]
        return tuple(each for each in found if _is_somewhere(each))[:MAX_OBSERVED_CANDIDATES]

    def spare_addresses(self) -> tuple[Address, ...]:
        """List where the open spare ports may be reached, as far as relays have seen them."""
        found = []
        for handle in self.spares():
            seen = [each.observed for (port, _), each in self._seen.items() if port == handle]
            if seen:
                found.append(seen[-1])
        return tuple(found)

    def public_host(self) -> str:
        """Return the address of this end that others saw last, empty if nobody did."""
        return next((each.observed.host for each in reversed(self._seen.values())), "")

    # --- towards a peer ----------------------------------------------------------------------------

    def ways(self, addresses: Iterable[Address], spares: Iterable[int] = ()) -> tuple[Path, ...]:
        """List the paths from the program's ports, or from these spare ones, to these addresses."""
        ports = [(each, own) for each in spares if (own := self._own.get(each))] or list(self.ports.items())
        return tuple(Path(port, to) for to in addresses for port, own in ports if own.is_ipv6 == to.is_ipv6)


def aim(addresses: Iterable[Address], host: str) -> Address | None:
    """Choose the one address to aim many packets at: a public one, of the host given if there is any."""
    public = [each for each in addresses if is_public(each.host) and not each.is_ipv6]
    return next((each for each in public if each.host == host), public[0] if public else None)


def _is_somewhere(address: Address) -> bool:
    return bool(address.port) and address.host not in {"0.0.0.0", "::"}  # noqa: S104 - such addresses are left out
