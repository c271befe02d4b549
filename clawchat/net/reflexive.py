"""Learn from STUN servers where a port of a node is seen from outside, and keep the NAT from forgetting it."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from clawchat.nat.mapping import Allocation, Mapping, Observation, classify
from clawchat.nat.stun_client import Result, StunClient
from clawchat.net.driver import Node
from clawchat.net.stun import resolve
from clawchat.values.address import Address, Path
from clawchat.values.errors import BadDatagram

KEEPALIVE: Final = 25.0
"""Seconds between two rounds: NATs forget a UDP mapping after 30 seconds at the earliest that is common."""

REQUESTS: Final = 3
"""A server that is silent to so many is asked again in the next round."""

SAME_FOR_ALL: Final = frozenset({Allocation.PRESERVING, Allocation.ENDPOINT_INDEPENDENT, Allocation.UNKNOWN})
"""With these the address that a server saw is good for a peer too, as far as is known."""


class Seen(NamedTuple):
    """Where a port is seen; ``addresses`` are those a peer may use."""

    addresses: tuple[Address, ...] = ()
    mapping: Mapping | None = None

    def guesses(self, local_port: int) -> tuple[Address, ...]:
        """Return where a peer may try its luck when no address is sure: where we are seen, with our own port number.

        The port is seldom right, but what a peer sends there opens its NAT for whatever comes from our address.
        """
        if self.addresses or self.mapping is None:
            return ()
        return tuple(Address(host, local_port) for host in self.mapping.public_hosts)


class Reflexive:
    """Ask ``servers`` (as ``stun.parse_server`` reads them) from a node's port, again and again.

    ``on_change`` is told whenever the addresses or the way of mapping differ from what was told before. With
    ``detect`` off one server is asked, which keeps the mapping but can't judge the NAT.
    """

    def __init__(
        self, node: Node, handle: int, servers: Sequence[str], *, on_change: Callable[[Seen], None], detect: bool = True
    ) -> None:
        self.seen = Seen()
        self._node = node
        self._handle = handle
        self._servers = servers if detect else servers[:1]
        self._on_change = on_change
        self._client = StunClient(random=secrets.token_bytes, requests=REQUESTS)
        self._heard = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            port = self._node.ports.get(self._handle)
            if port is not None:
                servers = await resolve(self._servers, ipv6=port.address.is_ipv6)
                with contextlib.ExitStack() as stack:
                    for server in servers.values():
                        self._node.divert(server, self._receive)
                        stack.callback(functools.partial(self._node.divert, server, None))
                    self._tell(await self._round(list(servers.values()), port.address.port))
            await asyncio.sleep(KEEPALIVE)

    async def _round(self, servers: Sequence[Address], local_port: int) -> list[Observation]:
        """Ask every server once; return what they saw, in the order in which they were asked."""
        results: list[Result] = []
        for server in dict.fromkeys(servers):
            self._client.ask(server, now=time.monotonic())
        while True:
            for outgoing in self._client.transmits(now=time.monotonic()):
                self._node.send_plain(outgoing.data, Path(self._handle, outgoing.remote))
            results += self._client.results()
            if self._client.idle:
                break
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._client.next_timeout() - time.monotonic()):
                    await self._heard.wait()
        return [
            Observation(local_port, each.server, each.reply.mapped, each.asked_at)
            for each in sorted(results, key=lambda result: result.number)
            if each.reply is not None and each.reply.mapped is not None
        ]

    def _receive(self, data: bytes, path: Path) -> None:
        if path.port == self._handle:
            with contextlib.suppress(BadDatagram):
                self._client.receive(data, path.remote, now=time.monotonic())
                self._heard.set()

    def _tell(self, observations: Sequence[Observation]) -> None:
        mapping = classify(observations)
        usable = mapping is not None and mapping.allocation in SAME_FOR_ALL
        seen = Seen(tuple(dict.fromkeys(each.observed for each in observations)) if usable else (), mapping)
        changed = seen.addresses != self.seen.addresses or _kind(seen) != _kind(self.seen)
        self.seen = seen
        if changed:
            self._on_change(seen)


def _kind(seen: Seen) -> Allocation | None:
    return seen.mapping.allocation if seen.mapping is not None else None
