"""Reach the server of a credential: an endpoint, a port, a handshake; and say why when there is no answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.net.connection import Connection, connect
from clawchat.net.driver import Node
from clawchat.net.interfaces import host_addresses, host_candidates
from clawchat.session.config import EndpointConfig
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import HandshakeFailed, PersonalError
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES
from client.diagnosis import diagnose
from client.plan import Plan

ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - the server may be reached through any interface
ANY_IPV6: Final = "::"


@contextlib.asynccontextmanager
async def dialled(plan: Plan, keylog: Callable[[str], None] | None = None) -> AsyncIterator[Connection]:
    """Connect, and close everything when the context ends. Raises PersonalError, CC-SERVER-SILENT among them."""
    credential, addresses = plan.opened.credential, host_addresses()
    host = plan.local.host or (ANY_IPV6 if _only_ipv6(credential, addresses) else ANY_IPV4)
    config = EndpointConfig(unix_offset=time.time() - time.monotonic())
    endpoint = Endpoint(random=os.urandom, config=config, keylog=keylog)
    node = Node(endpoint, on_event=lambda _event: None)
    try:
        port = await node.open_port(Address(host, plan.local.port))
        endpoint.candidates = tuple(host_candidates(node.ports[port].address))[:MAX_OBSERVED_CANDIDATES]
        try:
            connection = await connect(node, credential, port=port, timeout=plan.timeout)
        except HandshakeFailed as failed:
            raise silent_server(credential, plan.timeout, addresses, sorted(endpoint.path_errors)) from failed
        yield connection
    finally:
        await asyncio.shield(node.close())


def silent_server(
    credential: Credential, timeout: float, addresses: Sequence[str], complaints: Sequence[str]
) -> PersonalError:
    """Make the error of a server that did not answer, with all that this side can see of the reason."""
    found = diagnose(credential, now_unix=int(time.time()), own_addresses=addresses, path_errors=complaints)
    cause = f"no answer from {credential.name} within {timeout:g} s"
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


def _only_ipv6(credential: Credential, addresses: Sequence[str]) -> bool:
    """Tell whether the server can be reached by IPv6 alone: it has no IPv4 address, or this machine has none."""
    servers = {candidate.is_ipv6 for candidate in credential.candidates}
    own = {":" in address for address in addresses}
    return True in servers and (False not in servers or (True in own and False not in own))
