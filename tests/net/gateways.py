"""Routers and STUN servers on loopback, as good or as bad as a test wants them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from clawchat.nat.portmap import ssdp
from clawchat.nat.portmap.lease import Gateway
from clawchat.net.portmap_ways import Ports
from clawchat.values.address import Address
from tests.support.little_igd import LittleIgd
from tests.support.little_nat import success

HERE = "127.0.0.1"
PUBLIC = "203.0.113.9"
GATEWAY = Gateway(HERE, HERE, ipaddress.ip_network("127.0.0.0/8"))
Answer = Callable[[bytes, Address], bytes | None]


class Datagrams(asyncio.DatagramProtocol):
    """Answer each datagram with what a function says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as asyncio declares it
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        answer = self._answer(data, Address(*addr[:2]))
        if answer is not None:
            self._transport.sendto(answer, addr)


@contextlib.asynccontextmanager
async def answering(answer: Answer, host: str = HERE, port: int = 0) -> AsyncIterator[Address]:
    """Answer datagrams for as long as the context lasts; give the address."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Datagrams(answer), local_addr=(host, port))
    try:
        yield Address(*transport.get_extra_info("sockname")[:2])
    finally:
        transport.close()
        await asyncio.sleep(0)


@dataclass
class FakeRouter:
    """PCP, NAT-PMP and UPnP at once; ``speaks`` tells which, and may change while it runs."""

    speaks: set[str] = field(default_factory=lambda: {"pcp", "natpmp", "upnp"})
    igd: LittleIgd = field(default_factory=LittleIgd)
    public: str = PUBLIC
    epoch: int = 1000
    lifetime: int = 1200
    result: int = 0
    lose: int = 0
    mappings: dict[int, int] = field(default_factory=dict)
    requests: list[bytes] = field(default_factory=list)
    searches: list[bytes] = field(default_factory=list)
    location: str = ""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Ports]:
        """Run on loopback; give the ports."""
        server = await asyncio.start_server(self._serve, HERE, 0)
        self.location = self.location or f"http://{HERE}:{server.sockets[0].getsockname()[1]}/rootDesc.xml"
        async with answering(self._map) as mapping, answering(self._search) as search:
            try:
                yield Ports(mapping.port, search, search.port)
            finally:
                server.close()
                await server.wait_closed()

    def _map(self, data: bytes, _source: Address) -> bytes | None:
        self.requests.append(data)
        if self.lose:
            self.lose -= 1
            return None
        if data[0] == 2:
            if "pcp" in self.speaks:
                return self._pcp(data)
            return bytes.fromhex("0080 0001") + self.epoch.to_bytes(4, "big") if "natpmp" in self.speaks else None
        return self._natpmp(data) if "natpmp" in self.speaks else None

    def _pcp(self, data: bytes) -> bytes:
        lifetime = min(int.from_bytes(data[4:8], "big"), self.lifetime)
        head = bytes((2, 0x80 | data[1], 0, self.result if data[1] else 0))
        head += lifetime.to_bytes(4, "big") + self.epoch.to_bytes(4, "big") + bytes(12)
        if data[1] == 0:
            return head
        internal = int.from_bytes(data[40:42], "big")
        if lifetime and not self.result:
            self.mappings[internal] = lifetime
        else:
            self.mappings.pop(internal, None)
        external = ipaddress.IPv6Address(f"::ffff:{self.public}").packed
        return head + data[24:42] + data[40:42] + external

    def _natpmp(self, data: bytes) -> bytes:
        head = bytes((0, 0x80 | data[1], 0, self.result)) + self.epoch.to_bytes(4, "big")
        if data[1] == 0:
            return head + ipaddress.IPv4Address(self.public).packed
        internal, lifetime = int.from_bytes(data[4:6], "big"), int.from_bytes(data[8:12], "big")
        if lifetime and not self.result:
            self.mappings[internal] = lifetime
        else:
            self.mappings.pop(internal, None)
        return head + data[4:6] + (data[4:6] if lifetime else bytes(2)) + data[8:12]

    def _search(self, data: bytes, _source: Address) -> bytes | None:
        self.searches.append(data)
        if "upnp" not in self.speaks or ssdp.TARGETS[0].encode() not in data:
            return None
        return f"HTTP/1.1 200 OK\r\nST: {ssdp.TARGETS[0]}\r\nLOCATION: {self.location}\r\n\r\n".encode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0
            )
            status, body = self.igd.answer(head + await reader.readexactly(length))
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@dataclass
class FakeStun:
    """A STUN server with one address, which sees everybody at ``seen`` or where they are."""

    seen: Address | None = None
    silent: bool = False
    requests: list[Address] = field(default_factory=list)

    def answer(self, data: bytes, source: Address) -> bytes | None:
        """Answer a request."""
        self.requests.append(source)
        return None if self.silent else success(data[8:20], self.seen or source)
