"""Datagrams that a ClawChat server must refuse, as many as one sender makes.

length    far too short: the kernel's filter on the socket can refuse them
noise     random bytes from one sender: the kernel may hand them over as batches
spread    random bytes from many senders: every one arrives alone
forged    HELLOs whose header was made with the right header key, but whose seal is wrong
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import socket
import time
from collections.abc import Mapping
from functools import partial
from typing import Final

from clawchat.crypto.header import HeaderCipher
from lab.bench.ends.clawchat import shared_slot
from lab.bench.ends.command import obey

KINDS: Final = ("length", "noise", "spread", "forged")
POOL: Final = 512
"""Different datagrams, sent again and again."""

SIZE: Final = 1200
TOO_SHORT: Final = 20
SENDERS: Final = 64
PACE_EVERY: Final = 64
"""Datagrams between two looks at the clock."""


def make_datagrams(kind: str, host: str, port: int) -> list[bytes]:
    """Make the pool of one kind."""
    size = TOO_SHORT if kind == "length" else SIZE
    datagrams = [os.urandom(size) for _ in range(POOL)]
    if kind != "forged":
        return datagrams
    credential = shared_slot(host, port).credential
    cipher = HeaderCipher(credential.hello_header_key)
    return [cipher.mask(credential.slot_id + junk[:8]) + junk[16:] for junk in datagrams]


async def flood(kind: str, host: str, port: int, seconds: float) -> Mapping[str, float]:
    """Send for so many seconds; return how many datagrams left."""
    datagrams = itertools.cycle(make_datagrams(kind, host, port))
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(1 if kind == "noise" else SENDERS)]
    senders = itertools.cycle(sockets)
    sent = 0
    for udp in sockets:
        udp.connect((host, port))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(PACE_EVERY):
            next(senders).send(next(datagrams))
        sent += PACE_EVERY
    for udp in sockets:
        udp.close()
    return {"sent": sent}


def main() -> None:
    """Obey one command for each kind of flood: its name and how many seconds it lasts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    given = parser.parse_args()
    asyncio.run(obey({kind: partial(flood, kind, given.host, given.port) for kind in KINDS}))


if __name__ == "__main__":
    main()
