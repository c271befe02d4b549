"""Reach the server of a credential: an endpoint, a port, a handshake; and say why when there is no answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple

from clawchat.crypto.credential import Credential
from clawchat.net.connection import Connection, opened_session
from clawchat.net.driver import Node
from clawchat.net.interfaces import host_addresses, host_candidates
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import HandshakeFailed, PersonalError
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES
from client.diagnosis import diagnose
from client.knocking import Knocking
from client.plan import Plan
from client.post import by_post
from client.settings import Way
from client.ways import RelayedWays

ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - the server may be reached through any interface
ANY_IPV6: Final = "::"


class Dialled(NamedTuple):
    """A connection, and the ways it may go by."""

    connection: Connection
    ways: RelayedWays


@contextlib.asynccontextmanager
async def dialled(plan: Plan, keylog: Callable[[str], None] | None = None) -> AsyncIterator[Dialled]:
    """Connect, and close everything when the context ends. Raises PersonalError, CC-SERVER-SILENT among them."""
    credential, addresses = plan.opened.credential, host_addresses()
    host = plan.local.host or (ANY_IPV6 if _only_ipv6(credential, addresses) else ANY_IPV4)
    direct = plan.way is not Way.RELAY
    config = EndpointConfig(punch=direct, key_rotation=plan.key_rotation, port_rotation=plan.port_rotation)
    endpoint = Endpoint(random=os.urandom, config=config, keylog=keylog)
    node = Node(endpoint, on_event=lambda _event: None)
    ways: RelayedWays | None = None
    knocking: Knocking | None = None
    try:
        port = await node.open_port(Address(host, plan.local.port))
        if direct:
            endpoint.candidates = tuple(host_candidates(node.ports[port].address))[:MAX_OBSERVED_CANDIDATES]
        ways = RelayedWays(node, endpoint, credential, plan.way, websocket=plan.websocket)
        try:
            if plan.post is not None:
                connection = await by_post(plan, plan.post, node, endpoint, port=port)
            else:
                # A packet that comes too early may spoil a port at the server's NAT: not the one to punch with.
                hello_port = endpoint.scout.request(1)[0] if ways.named and not plan.local.port else port
                attempt = endpoint.connect(
                    credential, port=hello_port, now=time.monotonic(), timeout=plan.timeout, direct=direct
                )
                ways.begin(attempt, port=port)
                # a port that was asked for is the only one that may be used
                targets = credential.candidates if direct and not plan.local.port else ()
                knocking = Knocking(node, endpoint, targets, attempt=attempt, host=host)
                connection = await opened_session(node, attempt)
                knocking.settle(connection.path.port)
        except HandshakeFailed as failed:
            raise silent_server(credential, plan.timeout, addresses, sorted(endpoint.path_errors), ways) from failed
        ways.opened(connection)
        yield Dialled(connection, ways)
    finally:
        if knocking is not None:
            knocking.settle()
        if ways is not None:
            await asyncio.shield(ways.close())
        await asyncio.shield(node.close())


def silent_server(
    credential: Credential, timeout: float, addresses: Sequence[str], complaints: Sequence[str], ways: RelayedWays
) -> PersonalError:
    """Make the error of a server that did not answer, with all that this side can see of the reason."""
    found = diagnose(credential, now_unix=int(time.time()), own_addresses=addresses, path_errors=complaints)
    cause = f"no answer from {credential.name} within {timeout:g} s" + _of_relays(ways)
    if not found:
        tried = ", ".join(map(str, credential.candidates)) or "no address"
        unseen = "the file was replaced or used by somebody else, the server is down, or a firewall drops UDP"
        return PersonalError(
            "CC-SERVER-SILENT",
            f"{cause}; tried {tried}. Nothing is wrong that can be seen from here, so: {unseen}",
            "Ask the operator whether the server is up, and for a new file.",
        )
    return PersonalError(
        "CC-SERVER-SILENT", f"{cause}: " + "; ".join(finding.cause for finding in found), found[0].action
    )


def _of_relays(ways: RelayedWays) -> str:
    """Say what the relays did for a handshake that failed."""
    if not ways.named:
        return ""
    if not ways.joined:
        by_websocket = ", by WebSocket neither" if ways.websocket else ""
        return ", nor from " + ("its relay" if len(ways.named) == 1 else "any of its relays") + by_websocket
    return ", although a relay of it was reached"


def _only_ipv6(credential: Credential, addresses: Sequence[str]) -> bool:
    """Tell whether the server can be reached by IPv6 alone: it has no IPv4 address, or this machine has none."""
    servers = {candidate.is_ipv6 for candidate in credential.candidates}
    own = {":" in address for address in addresses}
    return True in servers and (False not in servers or (True in own and False not in own))
