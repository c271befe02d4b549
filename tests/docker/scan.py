"""Scan one address, from inside a container: every TCP port, and every UDP port with every payload there is for it.

Reads {"address", "payloads": [hex …], "port": N} as its first argument: the payloads go to that UDP port, and the first
few of them to all the others. Prints {"tcp": [open ports], "udp": [[port, hex] …]}.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
import time

PORTS = range(1, 65_536)
AT_ONCE = 400
PATIENCE = 5.0
QUIET = 1.5
FEW = 2


async def _tcp(address: str) -> list[int]:
    gate = asyncio.Semaphore(AT_ONCE)
    found: list[int] = []

    async def call(port: int) -> None:
        async with gate:
            try:
                async with asyncio.timeout(PATIENCE):
                    _, writer = await asyncio.open_connection(address, port)
            except (OSError, TimeoutError):
                return
            found.append(port)
            writer.close()

    await asyncio.gather(*(call(port) for port in PORTS))
    return sorted(found)


def _udp(address: str, payloads: list[bytes], chosen: int) -> list[tuple[int, str]]:
    answers: list[tuple[int, str]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

        def listen(patience: float) -> None:
            while select.select([sender], [], [], patience)[0]:
                payload, source = sender.recvfrom(65_535)
                answers.append((source[1], payload.hex()))

        for payload in payloads:
            sender.sendto(payload, (address, chosen))
        listen(QUIET)
        for port in PORTS:
            for payload in payloads[:FEW]:
                sender.sendto(payload, (address, port))
            listen(0)
            if port % 1000 == 0:
                time.sleep(0.01)  # so that the queue on the other side never overflows
        listen(QUIET)
    return answers


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    spoken = [bytes.fromhex(one) for one in asked["payloads"]]
    print(
        json.dumps({"tcp": asyncio.run(_tcp(asked["address"])), "udp": _udp(asked["address"], spoken, asked["port"])})
    )
