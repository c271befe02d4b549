"""The ways to ask a router for a mapping, over real sockets: PCP and NAT-PMP in datagrams, UPnP over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Generator, Iterable
from typing import Final, NamedTuple, Protocol, TypeVar

from clawchat.nat.portmap import http, igd, ssdp
from clawchat.nat.portmap import lease as leases
from clawchat.nat.portmap.igd import Brought, Errand, Get, Grant, Router
from clawchat.nat.portmap.lease import Gateway, Lease, Refusal
from clawchat.nat.portmap.mapper import Dialect, Mapper, State
from clawchat.nat.portmap.natpmp import NatPmp
from clawchat.nat.portmap.pcp import Pcp
from clawchat.values.address import Address
from clawchat.values.errors import BadDatagram

PORT: Final = 5351
"""Where routers listen for PCP and NAT-PMP (RFC 6887 section 19, RFC 6886 section 3)."""

DATAGRAM_BYTES: Final = 2048
SEARCH_SECONDS: Final = 1.0
"""How long devices may take to answer a search, as it tells them."""

ELSEWHERE_SECONDS: Final = 0.4
"""How long the gateway's own answer is preferred to that of another address of its network."""

HTTP_SECONDS: Final = 1.0
"""One answer of a router that is well takes a few milliseconds."""

MAX_PLACES: Final = 4
ReturnT = TypeVar("ReturnT")


class Ports(NamedTuple):
    """Where a router listens; tests have their own."""

    mapping: int = PORT
    search: Address = ssdp.GROUP
    unicast_search: int = ssdp.GROUP.port


class Way(Protocol):
    """One way to ask one router for one port."""

    protocol: leases.Protocol

    @property
    def lease(self) -> Lease | None:
        """Return the mapping that is held."""

    async def probe(self) -> Refusal | None:
        """Ask whether the router speaks this protocol; return None if it does."""

    async def map(self) -> Refusal | None:
        """Get the mapping, or renew it; ``lease`` says what is held afterwards."""

    async def check(self) -> Refusal | None:
        """Ask whether the router still knows of the mapping, and for it again if not."""

    async def unmap(self) -> None:
        """Give the mapping back."""

    def close(self) -> None:
        """Close the sockets."""


def ways_to(gateway: Gateway, port: int, ports: Ports) -> list[Way]:
    """Return every way to map a port of ours at a router."""
    internal = Address(gateway.local, port)
    return [
        DatagramWay(Pcp(internal, random=secrets.token_bytes), gateway, internal, ports),
        DatagramWay(NatPmp(internal), gateway, internal, ports),
        UpnpWay(gateway, internal, ports),
    ]


class DatagramWay:
    """Ask in datagrams; the socket is connected, so that only the router's own answers are heard."""

    def __init__(self, dialect: Dialect, gateway: Gateway, internal: Address, ports: Ports) -> None:
        self.protocol = dialect.protocol
        self._mapper = Mapper(dialect, internal)
        self._internal = internal
        self._remote = (gateway.address, ports.mapping)
        self._socket: socket.socket | None = None

    @property
    def lease(self) -> Lease | None:
        """Return the mapping that is held."""
        return self._mapper.lease

    async def probe(self) -> Refusal | None:
        """Ask whether the router speaks this protocol."""
        self._mapper.probe(now=time.monotonic())
        return await self._settle()

    async def map(self) -> Refusal | None:
        """Get the mapping with our own port number if that can be, or renew it."""
        self._mapper.ask(now=time.monotonic(), external=Address("0.0.0.0", self._internal.port))  # noqa: S104 - any public address
        return await self._settle()

    async def check(self) -> Refusal | None:
        """Ask whether the router has restarted or has another address; the machine asks again if it has."""
        self._mapper.probe(now=time.monotonic())
        return await self._settle()

    async def unmap(self) -> None:
        """Give the mapping back."""
        if self._mapper.lease is not None:
            self._mapper.release(now=time.monotonic())
            await self._settle()

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def _settle(self) -> Refusal | None:
        """Talk to the router until the machine awaits nothing."""
        loop = asyncio.get_running_loop()
        mapper = self._mapper
        while True:
            due = mapper.transmits(now=time.monotonic())
            if not mapper.busy:
                return mapper.refusal if mapper.state is State.UNABLE else None
            try:
                sock = self._socket = self._socket or _connected(self._internal.host, self._remote)
                for data in due:
                    await loop.sock_sendall(sock, data)
                async with asyncio.timeout_at(mapper.next_timeout() + loop.time() - time.monotonic()):
                    data = await loop.sock_recv(sock, DATAGRAM_BYTES)
                mapper.receive(data, now=time.monotonic())
            except (TimeoutError, BadDatagram):
                continue
            except OSError:
                self.close()  # nothing listens there, or our address is gone
                mapper.unreachable()


class UpnpWay:
    """Ask over HTTP, after a search for the router's description."""

    protocol = leases.Protocol.UPNP

    def __init__(self, gateway: Gateway, internal: Address, ports: Ports) -> None:
        self._lease: Lease | None = None
        self._gateway = gateway
        self._internal = internal
        self._ports = ports
        self._router: Router | None = None

    @property
    def lease(self) -> Lease | None:
        """Return the mapping that is held."""
        return self._lease

    async def probe(self) -> Refusal | None:
        """Find a router that has a connection with a public address."""
        refusal = Refusal(self.protocol, "no answer")
        try:
            places = await self._search()
        except OSError as error:
            return Refusal(self.protocol, error.strerror or "the search can't be sent")
        for place in places:
            found = await self._run(igd.find_router(place))
            if isinstance(found, Router):
                self._router = found
                return None
            refusal = found
        return refusal

    async def map(self) -> Refusal | None:
        """Get the mapping with our own port number if that can be, or renew it."""
        if self._router is None:
            return Refusal(self.protocol, "no router was found")
        external = self._lease.external if self._lease is not None else None
        asked_at = time.monotonic()
        got = await self._run(igd.map_port(self._router, self._internal, random=secrets.token_bytes, external=external))
        if isinstance(got, Grant):
            self._lease = Lease(self.protocol, got.external, self._internal, asked_at, got.lifetime)
            return None
        self._lease = None
        return got

    async def check(self) -> Refusal | None:
        """Ask for the mapping again: a router that restarted has forgotten it, and asking twice does no harm."""
        found = await self.probe()
        if found is None:
            return await self.map()
        self._lease = None
        return found

    async def unmap(self) -> None:
        """Give the mapping back."""
        if self._router is not None and self._lease is not None:
            external, self._lease = self._lease.external, None
            await self._run(igd.unmap_port(self._router, external))

    def close(self) -> None:
        """Do nothing: every socket was closed after its one use."""

    async def _run(self, talk: Generator[Errand, Brought, ReturnT]) -> ReturnT:
        """Do the errands of a talk until it comes to its end."""
        brought: Brought = None
        try:
            errand = next(talk)
            while True:
                brought = await self._fetch(errand)
                errand = talk.send(brought)
        except StopIteration as end:
            result: ReturnT = end.value
            return result

    async def _fetch(self, errand: Errand) -> Brought:
        if isinstance(errand, Get):
            request = http.write_get(errand.place)
        else:
            request = http.write_post(errand.place, errand.call.body, errand.call.headers)
        server = errand.place.server
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(HTTP_SECONDS):
                stream, writer = await asyncio.open_connection(
                    server.host, server.port, local_addr=(self._internal.host, 0)
                )
                writer.write(request)
                return await _read(stream)
        except (OSError, TimeoutError, BadDatagram):
            return None
        finally:
            if writer is not None:
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _search(self) -> list[http.Place]:
        """Return where devices describe themselves, the gateway's own description first."""
        loop = asyncio.get_running_loop()
        gateway, found = self._gateway, dict[http.Place, None]()
        limit = loop.time() + SEARCH_SECONDS
        with contextlib.closing(_searching(self._internal.host)) as sock:
            for destination in (self._ports.search, Address(gateway.address, self._ports.unicast_search)):
                for data in ssdp.searches(destination):
                    with contextlib.suppress(OSError):  # a network may refuse multicast, and a gateway unicast
                        await loop.sock_sendto(sock, data, destination)
            while loop.time() < limit and len(found) < MAX_PLACES and not _has_own(found, gateway):
                try:
                    async with asyncio.timeout_at(limit):
                        data, source = await loop.sock_recvfrom(sock, DATAGRAM_BYTES)
                    found[ssdp.read_answer(data, Address.make(*source[:2]), gateway)] = None
                    limit = min(limit, loop.time() + ELSEWHERE_SECONDS)
                except TimeoutError:
                    break
                except (OSError, BadDatagram):
                    continue
        return sorted(found, key=lambda each: each.server.host != gateway.address)


def _has_own(found: Iterable[http.Place], gateway: Gateway) -> bool:
    """Tell whether the gateway itself has answered."""
    return any(each.server.host == gateway.address for each in found)


async def _read(stream: asyncio.StreamReader) -> http.Answer:
    reader = http.Reader()
    while data := await stream.read(DATAGRAM_BYTES):
        if (answer := reader.feed(data)) is not None:
            return answer
    return reader.end()


def _connected(local: str, remote: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.bind((local, 0))
        sock.connect(remote)
    except OSError:
        sock.close()
        raise
    return sock


def _searching(local: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ssdp.MULTICAST_TTL)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(local))
        sock.bind((local, 0))
    except OSError:
        sock.close()
        raise
    return sock
