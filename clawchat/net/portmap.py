"""Keep one UDP port mapped at the router for as long as the program runs: find, ask, renew, give back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

from clawchat.nat.portmap.choice import Standing, choose
from clawchat.nat.portmap.lease import Gateway, Lease, Protocol, Refusal
from clawchat.net.gateway import NoGateway, find_gateway
from clawchat.net.network_watch import NetworkWatch
from clawchat.net.portmap_ways import Ports, Way, ways_to
from clawchat.values.address import Address

GIVE_UP: Final = 1.5
"""Seconds an attempt takes at most: whoever waits for it has other ways to be reached."""

PATIENCE: Final = 0.3
"""How long a better protocol may still answer once another has."""

CHECK: Final = 60.0
"""Seconds between two looks whether the router still knows of the mapping."""

CHECK_UPNP: Final = 300.0
"""The same where a look is a search, a page and three calls."""

RETRY: Final = 600.0
"""Seconds until a router that would not map is asked again; it is asked at once when the network changes."""

CLOSE_LIMIT: Final = 0.5
"""Seconds that giving a mapping back takes at most; one that stays expires."""

Finder = Callable[[str], Awaitable[Gateway | NoGateway]]


class PortMapping:
    """Map the port ``internal`` is bound to. ``open`` tries once, ``keep`` goes on in the background.

    ``on_change`` is told the outcome of the first attempt, and later every change of the external address: the
    lease, or None without one. ``refusals`` say why there is none, one for each protocol, or for want of a router.
    """

    def __init__(
        self,
        internal: Address,
        *,
        on_change: Callable[[Lease | None], None] = lambda _: None,
        find: Finder = find_gateway,
        ports: Ports | None = None,
        watch: bool = True,
    ) -> None:
        self.refusals: tuple[str, ...] = ()
        self.gateway: Gateway | None = None
        self._internal = internal
        self._on_change = on_change
        self._find = find
        self._ports = ports or Ports()
        self._way: Way | None = None
        self._told: tuple[Address | None, ...] = ()
        self._tries = 0
        self._task: asyncio.Task[None] | None = None
        self._network_changed = asyncio.Event()
        self._watch = NetworkWatch(asyncio.get_running_loop(), self.network_changed) if watch else None

    @property
    def lease(self) -> Lease | None:
        """Return the mapping that is held."""
        return self._way.lease if self._way is not None else None

    async def open(self) -> Lease | None:
        """Try once to get the mapping, for ``GIVE_UP`` seconds at most."""
        found = await self._find(self._internal.host)
        if isinstance(found, NoGateway):
            self.gateway, self.refusals = None, (found.reason,)
            self._tell()
            return None
        self.gateway = found
        race = _Race(ways_to(found, self._internal.port, self._ports))
        self._way = await race.run()
        self.refusals = tuple(f"{each.protocol.value}: {each.reason}" for each in race.refusals)
        self._tries = 0
        self._tell()
        return self.lease

    def keep(self) -> None:
        """Go on in the background: get the mapping if it is not held, renew it, follow the network."""
        self._task = asyncio.get_running_loop().create_task(self._keep())

    def network_changed(self) -> None:
        """Hear that this machine may be in another network now."""
        self._network_changed.set()

    async def close(self) -> None:
        """Give the mapping back and stop."""
        if self._watch is not None:
            self._watch.stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        if self._way is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_LIMIT):
                    await self._way.unmap()
            self._way.close()
            self._way = None

    async def _keep(self) -> None:
        while True:
            if self.lease is None:
                self._drop()
                await self.open()
            if await self._wait(self._pause()):
                await self._follow()
            elif self._way is not None:
                await self._refresh(self._way)

    def _pause(self) -> float:
        """Return how long there is nothing to do."""
        lease = self.lease
        if lease is None:
            return RETRY
        now = time.monotonic()
        check = CHECK_UPNP if lease.protocol is Protocol.UPNP else CHECK
        return max(0.0, min(check, self._due_at(lease) - now))

    def _due_at(self, lease: Lease) -> float:
        return lease.renew_at(self._tries) or lease.expires_at

    async def _wait(self, seconds: float) -> bool:
        """Wait for some time or until the network changes; tell whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._network_changed.wait()
        except TimeoutError:
            return False
        self._network_changed.clear()
        return True

    async def _refresh(self, way: Way) -> None:
        """Renew the lease if it is due, else ask whether it still stands."""
        lease = way.lease
        now = time.monotonic()
        if lease is None or lease.expires_at <= now:
            self._drop()
        elif self._due_at(lease) <= now:
            await way.map()
            self._tries = 0 if way.lease not in {None, lease} else self._tries + 1
        else:
            await way.check()
            self._tries = 0 if way.lease != lease else self._tries
        self._tell()

    async def _follow(self) -> None:
        """Ask the router of the network we are in now."""
        found = await self._find(self._internal.host)
        if found == self.gateway and self._way is not None:
            await self._way.check()
        else:
            self._drop()
        self._tell()

    def _drop(self) -> None:
        if self._way is not None:
            self._way.close()
            self._way = None

    def _tell(self) -> None:
        external = self.lease.external if self.lease is not None else None
        if (external,) != self._told:
            self._told = (external,)
            self._on_change(self.lease)


class _Race:
    """Probe all ways at once and map by the best one that the router speaks."""

    def __init__(self, ways: list[Way]) -> None:
        self.refusals: list[Refusal] = []
        self._ways = {way.protocol: way for way in ways}
        self._standings = dict.fromkeys(self._ways, Standing.UNKNOWN)
        self._unheard: dict[asyncio.Task[Refusal | None], Protocol] = {}

    async def run(self) -> Way | None:
        """Return the way by which the port is mapped now; the others are closed."""
        for protocol, way in self._ways.items():
            self._unheard[asyncio.create_task(way.probe())] = protocol
        won: Way | None = None
        try:
            async with asyncio.timeout(GIVE_UP):
                won = await self._map()
        except TimeoutError:
            late = [each for each, standing in self._standings.items() if standing is not Standing.UNABLE]
            self.refusals += [Refusal(protocol, "no answer in time") for protocol in late]
        finally:
            for probe in self._unheard:
                probe.cancel()
            await asyncio.gather(*self._unheard, return_exceptions=True)
            for way in self._ways.values():
                if way is not won:
                    way.close()
        return won

    async def _map(self) -> Way | None:
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + PATIENCE
        while True:
            chosen = choose(self._standings, patient=loop.time() < patient_until)
            if chosen is not None:
                refusal = await self._ways[chosen].map()
                if refusal is None:
                    return self._ways[chosen]
                self._rule_out(refusal)
                continue
            if Standing.UNKNOWN not in self._standings.values():
                return None
            await self._hear(patient_until - loop.time())

    async def _hear(self, seconds: float) -> None:
        """Wait for the next probe to end, or for patience to."""
        limit = seconds if seconds > 0 else None
        ended, _ = await asyncio.wait(self._unheard, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        for probe in ended:
            refusal = probe.result()
            if refusal is None:
                self._standings[self._unheard[probe]] = Standing.ABLE
            else:
                self._rule_out(refusal)
            del self._unheard[probe]

    def _rule_out(self, refusal: Refusal) -> None:
        self._standings[refusal.protocol] = Standing.UNABLE
        self.refusals.append(refusal)
