"""Does a dark port stand out? A closed port answers with an ICMP error, a dark one is silent among them.

Only a machine outside can see it: what a host sends to itself does not pass its firewall's rules for others.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import secrets
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from clawchat.nat.scope import is_loopback
from clawchat.net.doctor.checks import failed, passed, skipped
from clawchat.net.user_events import Check
from clawchat.values.address import MAX_PORT, Address

DISTANCES: Final = (1, 2, -1, 5)
"""Which ports beside the dark one are asked: most of them closed on any machine."""

TRIES: Final = 3
TRY_SECONDS: Final = 0.4
"""Kernels answer a few closed ports a second, so one silence says nothing."""

PROBE_BYTES: Final = 96
"""Random bytes, as long as a short packet: a server drops them like anybody's."""

_ANSWERS: Final = frozenset({errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.EACCES})
NAME: Final = "dark port"
RECIPE: Final = 'Let the firewall drop what comes to closed ports, too: docs/OPERATIONS.md, "Hiding the port".'


async def dark_check(servers: Sequence[Address], own: Iterable[str]) -> Check:
    """Look from here whether the first server address that is another machine's stands out among its neighbours."""
    mine = frozenset(own)
    target = next((each for each in servers if each.host not in mine and not is_loopback(each.host)), None)
    if target is None:
        return skipped(NAME, "the server is on this machine", "Run `clawchat doctor FILE.sec` on another one.")
    ports = [target.port + distance for distance in DISTANCES if 0 < target.port + distance <= MAX_PORT]
    dark, *neighbours = await asyncio.gather(
        answers(target), *(answers(Address(target.host, number)) for number in ports)
    )
    if dark:
        return failed(NAME, f"{target} answers that nothing listens there", "Start the server, or ask for a new file.")
    if any(neighbours):
        found = [str(number) for number, loud in zip(ports, neighbours, strict=True) if loud]
        return failed(NAME, f"{target} is silent, but its neighbours ({', '.join(found)}) answer by ICMP", RECIPE)
    return passed(NAME, f"neither {target} nor the ports beside it answer anything")


async def answers(target: Address) -> bool:
    """Tell whether an ICMP error comes back from a port."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if target.is_ipv6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect((target.host, target.port))
            for _ in range(TRIES):
                probe.send(secrets.token_bytes(PROBE_BYTES))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TRY_SECONDS):
                        await loop.sock_recv(probe, PROBE_BYTES)
        except OSError as error:
            return error.errno in _ANSWERS
    return False
