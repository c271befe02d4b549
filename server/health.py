"""Find out whether the server works: the loop turns, a datagram comes through the socket, and somebody could join."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket
from typing import TYPE_CHECKING, Final, NamedTuple

from clawchat.net.driver import Node
from clawchat.values.address import Address

if TYPE_CHECKING:
    from server.program import Program

MAX_LAG_SECONDS: Final = 1.0
"""A loop that was this late within the last minute kept people waiting."""

BEAT_SECONDS: Final = 0.5
"""How often a server asks its loop whether it is on time: no turn of MAX_LAG_SECONDS and this goes unnoticed."""

TEST_BYTES: Final = 96
TEST_TRIES: Final = 5
TEST_SECONDS: Final = 0.2


class Health(NamedTuple):
    """What a self-test found; every field but the lag stands for one thing that can be wrong."""

    lag: float
    datagram: bool
    missing: tuple[str, ...]
    """Security files that are gone, changed or expired."""
    joinable: bool
    """Whether somebody is here, or somebody holds a credential that lets them in."""

    @property
    def healthy(self) -> bool:
        """Tell whether everything works."""
        return self.lag <= MAX_LAG_SECONDS and self.datagram and not self.missing and self.joinable

    def answer(self) -> dict[str, object]:
        """Write what the commands show."""
        return {
            "healthy": self.healthy,
            "loop_lag_seconds": round(self.lag, 6),
            "datagram": self.datagram,
            "files_missing": list(self.missing),
            "joinable": self.joinable,
        }


async def check(program: Program) -> Health:
    """Run a server's self-test."""
    invitations = program.invitations
    return Health(
        program.node.lag,
        await datagram_arrives(program.node, program.port),
        tuple(view.name for view in invitations.views() if view.seconds <= 0 or not invitations.is_intact(view.name)),
        joinable=bool(program.guests or program.endpoint.armed),
    )


async def datagram_arrives(node: Node, port: Address) -> bool:
    """Send random bytes to our own socket, and look whether just these come out of it."""
    target = _own_address(port)
    nonce = secrets.token_bytes(TEST_BYTES)
    arrived = asyncio.Event()
    with socket.socket(socket.AF_INET6 if target.is_ipv6 else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        try:
            sender.connect((target.host, target.port))
            own = Address.make(*sender.getsockname()[:2])
        except OSError:
            return False
        node.divert(own, lambda data, _: arrived.set() if data == nonce else None)
        try:
            return await _sent(sender, nonce, arrived)
        finally:
            node.divert(own, None)


async def _sent(sender: socket.socket, nonce: bytes, arrived: asyncio.Event) -> bool:
    sender.setblocking(False)
    for _ in range(TEST_TRIES):
        try:
            sender.send(nonce)
            async with asyncio.timeout(TEST_SECONDS):
                await arrived.wait()
        except (TimeoutError, OSError):  # a closed port answers with an error, which is told by the next call
            continue
        return True
    return False


def _own_address(port: Address) -> Address:
    """Name our socket as seen from this machine."""
    if not ipaddress.ip_address(port.host).is_unspecified:
        return port
    return Address("::1" if port.is_ipv6 else "127.0.0.1", port.port)
