"""The UDP port that a server listens on."""

from __future__ import annotations

from clawchat.net.driver import Node
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from server.logs import Log
from server.settings import Server


async def open_server_port(node: Node, settings: Server, usual: int, log: Log) -> int:
    """Open the configured port; without one the usual, which clients that come back know, or else a random one.

    Return its handle. Raises PersonalError.
    """
    wish = settings.port
    if usual and not wish:
        try:
            return await node.open_port(Address.make(settings.ip, usual))
        except PersonalError as error:
            log.warning("usual-port-not-free", port=usual, code=error.code)
    return await node.open_port(Address.make(settings.ip, wish or 0))
