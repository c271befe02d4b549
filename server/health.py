"""Find out whether the server works: the loop turns, a datagram comes through the socket, and somebody could join."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from typing import Final

from clawchat.net import files
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from server.program import Program

# A loop that was this late within the last minute kept people waiting.
MAX_LAG_SECONDS: Final = 1.0
# Long enough to be looked at as a packet, too short for a handshake; random, so it is dropped and counted.
TEST_BYTES: Final = 96
TEST_TRIES: Final = 5
TEST_SECONDS: Final = 0.2
LOOK_SECONDS: Final = 0.01


async def check(program: Program) -> dict[str, object]:
    """Run the self-test; ``healthy`` sums it up, the rest says what is wrong."""
    lag = program.node.lag
    datagram = await datagram_arrives(program.endpoint, program.port)
    missing = [
        view.name for view in program.invitations.views() if view.seconds <= 0 or not _readable(program, view.name)
    ]
    return {
        "healthy": lag <= MAX_LAG_SECONDS and datagram and not missing,
        "loop_lag_seconds": round(lag, 6),
        "datagram": datagram,
        "files_missing": missing,
    }


async def datagram_arrives(endpoint: Endpoint, port: Address) -> bool:
    """Send random bytes to our own socket and look whether they are counted as dropped."""
    target = _own_address(port)
    family = socket.AF_INET6 if target.is_ipv6 else socket.AF_INET
    drops = endpoint.drops
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for _ in range(TEST_TRIES):
            before = drops.total()
            sender.sendto(secrets.token_bytes(TEST_BYTES), target)
            for _ in range(round(TEST_SECONDS / LOOK_SECONDS)):
                await asyncio.sleep(LOOK_SECONDS)
                if drops.total() > before:
                    return True
    return False


def _own_address(port: Address) -> Address:
    """Name our socket as seen from this machine."""
    if not ipaddress.ip_address(port.host).is_unspecified:
        return port
    return Address("::1" if port.is_ipv6 else "127.0.0.1", port.port)


def _readable(program: Program, name: str) -> bool:
    try:
        files.read_private(program.invitations.path(name), 1 << 20)
    except PersonalError:
        return False
    return True
