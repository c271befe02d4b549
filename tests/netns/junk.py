"""A stranger: junk and repeated real packets at a steady rate, and an ear for every byte that comes back.

Run as ``python -m tests.netns.junk HOST PORT RATE FILE``; FILE holds real datagrams, each behind its length. It floods
from the first line on standard input to the second, and says what it sent and what the wire brought back: IPv4
packets of any kind, so that an ICMP message counts as much as a datagram.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

ETH_P_IP: Final = 0x0800
PACKET_OUTGOING: Final = 4
TICK: Final = 0.001
CATCH_UP: Final = 0.05
"""A stranger that was held up for longer does not make up for it."""


def pool(file: Path) -> list[bytes]:
    """Mix real datagrams with random bytes of every size that an Ethernet frame holds, in no order."""
    data, at = file.read_bytes(), 0
    mixed = [os.urandom(size) for size in range(1473)]
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        mixed.append(data[at + 2 : end])
        at = end
    random.Random(1).shuffle(mixed)
    return mixed


def heard(ear: socket.socket) -> int:
    """Return how many bytes of IPv4 packets came in since the last look."""
    total = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            data, (_, _, kind, _, _) = ear.recvfrom(1 << 16)
            total += len(data) if kind != PACKET_OUTGOING else 0
    return total


def main() -> None:
    host, port, rate, file = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
    datagrams = pool(file)
    with contextlib.suppress(PermissionError):
        os.nice(-10)  # a busy machine must not thin the junk out
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_IP)) as ear,
    ):
        ear.setblocking(False)
        udp.connect((host, port))
        print(json.dumps({"ready": True}), flush=True)
        sys.stdin.readline()
        begun = next_at = time.monotonic()
        sent = back = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            now = time.monotonic()
            next_at = max(next_at, now - CATCH_UP)
            for _ in range(int((now - next_at) * rate)):
                with contextlib.suppress(ConnectionRefusedError):
                    udp.send(datagrams[sent % len(datagrams)])
                sent += 1
                next_at += 1 / rate
            back += heard(ear)
            time.sleep(TICK)
        seconds = time.monotonic() - begun
        time.sleep(0.5)
        back += heard(ear)
    print(json.dumps({"sent": sent, "rate": sent / seconds, "back": back}), flush=True)


if __name__ == "__main__":
    main()
