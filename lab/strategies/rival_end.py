"""A rival's end and the rendezvous on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Final

from clawchat.net.interfaces import host_candidates
from clawchat.values.address import Address
from clawchat.values.timers import NEVER
from lab.strategies.outcome import Order, Outcome, judged
from lab.strategies.rendezvous import Rendezvous
from lab.strategies.rival import MAIN, Introduction, Rival

ANY: Final = "0.0.0.0"  # noqa: S104 - an end of the laboratory has one interface
SERVER_PORT: Final = 3478


class _Socket(asyncio.DatagramProtocol):
    """A port that hands on what it gets."""

    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Hand a datagram on."""
        self._receive(data, Address(addr[0], addr[1]))


async def _open(address: Address, receive: Callable[[bytes, Address], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Socket(receive), local_addr=(address.host, address.port)
    )
    return transport


class RivalEnd:
    """One end; it answers the peer's probes until it is closed."""

    def __init__(self, order: Order) -> None:
        servers = [Address(host, port) for host, port in order.servers]
        told = Introduction(servers, order.room, order.role)
        seed = f"{order.seed}:{order.role}"
        self._rival = Rival(order.strategy, told, late=order.late, seed=seed, now=time.monotonic())
        self._ports: dict[int, asyncio.DatagramTransport] = {}
        self._stirred = asyncio.Event()

    async def run(self) -> Outcome:
        """Play until it is direct or gives up."""
        rival = self._rival
        main = await self._port(MAIN)
        for address in host_candidates(Address(*main.get_extra_info("sockname")))[:1]:
            rival.opened(address)
        while not rival.over:
            await self._turn(until_over=True)
        return self.outcome()

    async def linger(self) -> None:
        """Go on answering until cancelled."""
        while True:
            await self._turn(until_over=False)

    def outcome(self) -> Outcome:
        """Judge it as it stands."""
        rival = self._rival
        return judged(rival.signalled_at, rival.direct_at, rival.sent)

    def close(self) -> None:
        """Close all ports."""
        for transport in self._ports.values():
            transport.close()

    async def _turn(self, *, until_over: bool) -> None:
        self._stirred.clear()
        for shot in self._rival.take(now=time.monotonic()):
            transport = await self._port(shot.port)
            transport.sendto(shot.data, tuple(shot.to))
        if until_over and self._rival.over:
            return
        deadline = self._rival.deadline
        wait = None if deadline == NEVER else max(deadline - time.monotonic(), 0.0)
        # Unlike wait_for of Python 3.11 this never swallows that we are cancelled.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._stirred.wait()

    async def _port(self, number: int) -> asyncio.DatagramTransport:
        if number not in self._ports:

            def receive(data: bytes, source: Address) -> None:
                self._rival.receive(data, number, source, now=time.monotonic())
                self._stirred.set()

            self._ports[number] = await _open(Address(ANY, 0), receive)
        return self._ports[number]


async def serve_rendezvous(hosts: Iterable[str]) -> list[asyncio.DatagramTransport]:
    """Be the rendezvous at these addresses of ours, until the transports are closed."""
    rendezvous = Rendezvous()
    transports: list[asyncio.DatagramTransport] = []
    for host in hosts:

        def answer(data: bytes, source: Address, number: int = len(transports)) -> None:
            for reply in rendezvous.receive(data, source):
                transports[number].sendto(reply.data, tuple(reply.to))

        transports.append(await _open(Address(host, SERVER_PORT), answer))
    return transports
