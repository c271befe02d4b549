"""Tell an endpoint how far the packets that open our own NATs have to go."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

from clawchat.nat.depth import DEEPEST, Depth
from clawchat.nat.scope import is_public
from clawchat.net.driver import Node
from clawchat.net.error_queue import TTL_EXPIRED, PathError
from clawchat.net.stun import measure_depth, resolve
from clawchat.session.endpoint import Endpoint
from clawchat.session.scouting import Scout
from clawchat.values.address import Path
from clawchat.values.errors import PersonalError

ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - NATs are a matter of IPv4, on whichever interface leads to them

FEEL_SECONDS: Final = 0.2
"""How long a router on our side of the internet may take to say that a packet died there."""

FEEL_WAIT: Final = 0.1
"""For how long after the first packet nothing is opened: our own routers are near, and mostly known sooner than a
session is up."""

FEEL_TIMES: Final = 2
"""How many packets of each time to live are sent at most: one may get lost, and some routers say nothing."""


async def learn_depth(scout: Scout, servers: Sequence[str]) -> None:
    """Measure on the way to the first of these STUN servers that has an address; takes a second."""
    found = await resolve(servers, ipv6=False)
    with contextlib.suppress(PersonalError):
        for server in list(found.values())[:1]:
            scout.set_depth((await measure_depth(server, ANY_IPV4)).hops)


async def feel_depth(node: Node, endpoint: Endpoint, session_id: int, *, port: int) -> None:
    """Measure on the way to a relay by sealed packets, each of which goes a hop further once the last one was heard of.

    Nothing is learnt of a relay by IPv6, by WebSocket or next door, nor where the system does not tell what ICMP says.
    """
    session = endpoint.sessions.get(session_id)
    ours = node.ports.get(port)
    if session is None or ours is None or not ours.abilities.error_queue:
        return
    path = Path(port, session.path.remote)
    if session.path != path or path.remote.is_ipv6 or not is_public(path.remote.host):
        return
    depth, heard = Depth(), asyncio.Event()
    ttl, until = 0, time.monotonic() + FEEL_WAIT

    def hear(error: PathError) -> None:
        if error.name == TTL_EXPIRED and error.path == path:
            depth.expired(ttl, error.offender)
            heard.set()

    node.icmp_listeners.add(hear)
    try:
        while depth.hops is None and ttl < DEEPEST:
            ttl += 1
            heard.clear()
            for _ in range(FEEL_TIMES):
                endpoint.feel(session_id, path, ttl, until=until)
                node.wake()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FEEL_SECONDS):
                        await heard.wait()
                    break
    finally:
        node.icmp_listeners.discard(hear)
        endpoint.felt(depth.hops)
        node.wake()
