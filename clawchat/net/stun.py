"""Ask STUN servers over real sockets: what the NAT does to us, and how many routers are in front of the internet."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from clawchat.nat import discovery
from clawchat.nat.depth import DEEPEST, Depth
from clawchat.nat.discovery import Discovery
from clawchat.nat.stun import TRANSACTION_BYTES, decode_reply, encode_request, parse_server, transaction_of
from clawchat.net.error_queue import TTL_EXPIRED
from clawchat.net.port_opening import open_port
from clawchat.net.sockets import RECEIVE_ROOM, UdpPort
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

RESOLVE_SECONDS: Final = 2.0
"""How long names are looked up."""

DEPTH_SECONDS: Final = 0.9
DEPTH_SENDS: Final = 3
"""Routers tell of a burst of packets that died at them only in part (RFC 1812 section 4.3.2.8)."""


class Arrival(NamedTuple):
    """A datagram that came to one of our ports, counted from 0."""

    port: int
    data: bytes
    source: Address


async def resolve(servers: Sequence[str], *, ipv6: bool) -> dict[str, Address]:
    """Look STUN servers up; leave out those that have no address of this IP version."""
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.gather(*(_resolve(each, ipv6=ipv6) for each in servers))
    except TimeoutError:
        return {}
    return {text: address for text, address in zip(servers, found, strict=True) if address is not None}


async def _resolve(text: str, *, ipv6: bool) -> Address | None:
    host, port = parse_server(text)
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    return Address.make(str(answers[0][4][0]), port) if answers else None


async def discover(servers: Sequence[Address], host: str, *, limit: float = discovery.LIMIT) -> Discovery:
    """Find out what the NAT does to datagrams from ``host``, by servers of its IP version. Raises PersonalError."""
    with _talking(host, len(discovery.Port)) as talk:
        numbers = (talk.ports[0].address.port, talk.ports[1].address.port)
        told = Discovery(servers, numbers, random=secrets.token_bytes, now=time.monotonic(), limit=limit)
        while True:
            for step in told.transmits(now=time.monotonic()):
                talk.send(step.port, step.outgoing.data, step.outgoing.remote)
            if told.done:
                return told
            for arrival in await talk.hear(told.next_timeout()):
                with contextlib.suppress(BadDatagram):
                    told.receive(discovery.Port(arrival.port), arrival.data, arrival.source, now=time.monotonic())


async def measure_depth(server: Address, host: str) -> Depth:
    """Send requests that die on their way to a STUN server, and hear where. Raises PersonalError.

    Nothing is learnt where the system does not tell what ICMP says. Every TTL has a port of its own, by which what
    comes back is known.
    """
    depth = Depth()
    with _talking(host, DEEPEST) as talk:
        if not talk.ports[0].abilities.error_queue:
            return depth
        transactions = [secrets.token_bytes(TRANSACTION_BYTES) for _ in talk.ports]
        for _ in range(DEPTH_SENDS):
            for number, transaction in enumerate(transactions):
                talk.send(number, encode_request(transaction), server, ttl=number + 1)
            until = time.monotonic() + DEPTH_SECONDS / DEPTH_SENDS
            while time.monotonic() < until and not depth.settled:
                for arrival in await talk.hear(until):
                    if arrival.source == server and _answers(arrival.data, transactions[arrival.port]):
                        depth.reached(arrival.port + 1)
                for number, router in talk.routers(server):
                    depth.expired(number + 1, router)
    return depth


def _answers(data: bytes, transaction: bytes) -> bool:
    """Tell whether a datagram answers our request."""
    try:
        decode_reply(data)
        return transaction_of(data) == transaction
    except BadDatagram:
        return False


class _Talk:
    """Some UDP ports of our own, for a short talk that no endpoint takes part in."""

    def __init__(self, ports: list[UdpPort]) -> None:
        self.ports = ports
        self._room = memoryview(bytearray(RECEIVE_ROOM))
        self._arrived: list[Arrival] = []
        self._woken = asyncio.Event()

    def send(self, number: int, data: bytes, remote: Address, *, ttl: int | None = None) -> None:
        """Send a datagram; one that can't leave is lost, and repeated by who waits for an answer."""
        self.ports[number].send(data, len(data), remote, ttl)

    async def hear(self, until: float) -> list[Arrival]:
        """Wait until something has come, or until a point of monotonic time."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(loop.time() + until - time.monotonic()):
                await self._woken.wait()
        self._woken.clear()
        arrived, self._arrived = self._arrived, []
        return arrived

    def routers(self, remote: Address) -> Iterator[tuple[int, str]]:
        """Go through the routers at which datagrams to an address died, with the number of their port."""
        for number, port in enumerate(self.ports):
            reports, port.reports = port.reports, []
            for report in reports:
                if report.name == TTL_EXPIRED and report.path.remote == remote and report.offender:
                    yield number, report.offender

    def read(self, number: int) -> None:
        """Read what has come to a port."""
        for data, size, path in self.ports[number].receive(self._room):
            pieces = (bytes(data[at : at + size]) for at in range(0, len(data), size or 1))
            self._arrived += [Arrival(number, piece, path.remote) for piece in pieces]
        self._woken.set()


@contextlib.contextmanager
def _talking(host: str, count: int) -> Iterator[_Talk]:
    """Lend ports that are bound to ``host``, and listened to."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        ports = []
        for handle in range(count):
            ports.append(open_port(handle, Address.make(host, 0), offload=False))
            stack.callback(ports[-1].close)
        talk = _Talk(ports)
        for number, port in enumerate(ports):
            loop.add_reader(port.fileno(), talk.read, number)
            stack.callback(loop.remove_reader, port.fileno())
        yield talk
