"""Run in a namespace: get a port mapped, tell how, wait for one datagram, give the mapping back."""

from __future__ import annotations

import asyncio
import json
import socket
import sys

from clawchat.nat.portmap.lease import Gateway, Lease
from clawchat.net.gateway import find_gateway
from clawchat.net.loop import run
from clawchat.net.portmap import PortMapping
from clawchat.net.portmap_ways import Ports, ways_to
from clawchat.values.address import Address

ANY = "0.0.0.0"
PATIENCE = 20.0


def tell(**what: object) -> None:
    print(json.dumps(what), flush=True)


def describe(lease: Lease | None) -> dict[str, object]:
    if lease is None:
        return {"lease": None}
    return {"lease": lease.protocol.value, "host": lease.external.host, "port": lease.external.port}


async def hear(sock: socket.socket) -> str:
    async with asyncio.timeout(PATIENCE):
        return (await asyncio.get_running_loop().sock_recv(sock, 2000)).decode()


async def by_one_way(name: str, sock: socket.socket) -> None:
    """Use one protocol alone."""
    gateway = await find_gateway(ANY)
    assert isinstance(gateway, Gateway), gateway
    ways = ways_to(gateway, sock.getsockname()[1], Ports())
    (way,) = (each for each in ways if each.protocol.value == name)
    refusals = [await way.probe(), await way.map(), await way.map(), await way.check()]
    tell(**describe(way.lease), refusals=[each.reason for each in refusals if each is not None])
    tell(heard=await hear(sock))
    await way.unmap()
    for each in ways:
        each.close()


async def by_the_best(sock: socket.socket) -> None:
    """Let the runner choose."""
    mapping = PortMapping(Address(ANY, sock.getsockname()[1]))
    lease = await mapping.open()
    tell(**describe(lease), refusals=list(mapping.refusals))
    tell(heard=await hear(sock))
    await mapping.close()


async def main(way: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.bind((ANY, 0))
        await (by_the_best(sock) if way == "best" else by_one_way(way, sock))
        tell(done=True)


if __name__ == "__main__":
    run(main(sys.argv[1]))
