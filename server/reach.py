"""Where this server may be reached: its own addresses, what its router maps, and where STUN servers see it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from clawchat.nat.candidate import CandidateSet, Kind
from clawchat.nat.portmap.lease import Lease
from clawchat.nat.scope import is_loopback, is_public
from clawchat.net.driver import Node
from clawchat.net.interfaces import host_candidates
from clawchat.net.portmap import PortMapping
from clawchat.net.reflexive import Reflexive, Seen
from clawchat.values.address import Address
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES
from server.logs import Log
from server.settings import Networking, public_address

NOTHING_ASKED: Final = "off"

SETTLE_SECONDS: Final = 3.0
"""A router that has not answered by then will hardly do so: twice what asking takes."""


class Reach:
    """Gather candidates for one port. A port for this machine alone asks nobody.

    ``relayed`` tells where relays see a port.
    """

    def __init__(
        self,
        networking: Networking,
        node: Node,
        log: Log,
        *,
        relayed: Callable[[int], Sequence[Address]] = lambda _: (),
        on_change: Callable[[], None],
    ) -> None:
        self._networking = networking
        self._node = node
        self._log = log
        self._relayed = relayed
        self._on_change = on_change
        self._handle = 0
        self._port = Address("", 0)
        self._found = CandidateSet()
        self._offered: list[Address] = []
        self._mapping: PortMapping | None = None
        self._reflexive: Reflexive | None = None
        self._answered = asyncio.Event()

    def start(self, handle: int) -> None:
        """Begin to ask on behalf of a port, if the settings say so."""
        self._handle = handle
        self._port = self._node.ports[handle].address
        self._offered = self.candidates()
        if is_loopback(self._port.host):
            return
        if self._networking.port_mapping:
            self._mapping = PortMapping(self._port, on_change=self._mapped)
            self._mapping.keep()
        if self._networking.stun_servers:
            self._reflexive = Reflexive(
                self._node,
                handle,
                self._networking.stun_servers,
                on_change=self._seen,
                detect=self._networking.nat_detection,
            )

    async def settled(self) -> None:
        """Wait until the router has answered, or would not in time."""
        if self._mapping is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._answered.wait(), SETTLE_SECONDS)

    async def close(self) -> None:
        """Give back what the router maps, and ask no more."""
        if self._reflexive is not None:
            await self._reflexive.close()
        if self._mapping is not None:
            await self._mapping.close()

    def candidates(self) -> list[Address]:
        """Return the addresses to put into security files, as many as those have room for."""
        now = time.monotonic()
        public = self._networking.public_address
        own = host_candidates(self._port) if public is None else [public_address(public, self._port.port)]
        lease = self._mapping.lease if self._mapping is not None else None
        seen = self._reflexive.seen.addresses if self._reflexive is not None else ()
        guesses = self._reflexive.seen.guesses(self._port.port) if self._reflexive is not None else ()
        self._found.replace(Kind.HOST, own, now=now)
        self._found.replace(Kind.MAPPED, [] if lease is None else [lease.external], now=now)
        self._found.replace(Kind.SERVER_REFLEXIVE, (*seen, *self._relayed(self._handle)), now=now)
        self._found.replace(Kind.PREDICTED, guesses, now=now)
        return list(self._found.offer(now=now, limit=MAX_OBSERVED_CANDIDATES))

    def describe(self) -> dict[str, str]:
        """Say for the operator what the router and the STUN servers did."""
        told = {"port_mapping": NOTHING_ASKED, "nat": NOTHING_ASKED}
        if self._mapping is not None:
            lease = self._mapping.lease
            told["port_mapping"] = (
                f"{lease.external} ({lease.protocol.value})"
                if lease is not None
                else "none: " + ("; ".join(self._mapping.refusals) or "asking")
            )
        if self._reflexive is not None:
            mapping = self._reflexive.seen.mapping
            told["nat"] = "no STUN server has answered" if mapping is None else f"ports are {mapping.allocation.value}"
        return told

    def _mapped(self, lease: Lease | None) -> None:
        self._answered.set()
        if lease is None:
            self._log.info("port-not-mapped", why=self._mapping.refusals if self._mapping is not None else ())
        else:
            external = lease.external
            self._log.info(
                "port-mapped",
                external=str(external),
                protocol=lease.protocol.value,
                public=is_public(external.host),
                seconds=round(lease.lifetime),
            )
        self._look()

    def _seen(self, seen: Seen) -> None:
        self._log.info(
            "seen-from-outside",
            addresses=[str(each) for each in seen.addresses],
            ports=None if seen.mapping is None else seen.mapping.allocation.value,
        )
        self._look()

    def _look(self) -> None:
        offered = self.candidates()
        if offered != self._offered:
            self._offered = offered
            self._on_change()
