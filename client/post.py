"""Reach a server by a handshake that files carry: find out where we are seen from, then offer and wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from clawchat.net.carrying import Post, carried_session
from clawchat.net.connection import Connection
from clawchat.net.depth import learn_depth
from clawchat.net.driver import Node
from clawchat.net.reflexive import Reflexive
from clawchat.session.endpoint import Endpoint
from clawchat.values.errors import HandshakeFailed, PersonalError
from clawchat.values.limits import MAX_OBSERVED_CANDIDATES, MEETING_TIMEOUT
from client.plan import Plan

STUN_SECONDS: Final = 1.5
"""STUN servers that have not answered by then are not waited for: the HELLO names what is known."""


async def by_post(plan: Plan, post: Post, node: Node, endpoint: Endpoint, *, port: int) -> Connection:
    """Connect by a post. Raises PersonalError (CC-DROP, CC-DROP-SILENT) and PathsExhausted."""
    async with _seen_from_outside(plan, node, endpoint, port=port):
        offer = endpoint.offer(plan.opened.credential, port=port, now=time.monotonic(), timeout=plan.post_timeout)
        try:
            return await carried_session(node, endpoint, offer, post, port=port, timeout=MEETING_TIMEOUT)
        except HandshakeFailed as failed:
            cause = f"{plan.opened.credential.name} left no answer within {plan.post_timeout:g} s"
            raise PersonalError("CC-DROP-SILENT", cause) from failed


@contextlib.asynccontextmanager
async def _seen_from_outside(plan: Plan, node: Node, endpoint: Endpoint, *, port: int) -> AsyncIterator[None]:
    """Have STUN servers, if any are named, say where we are seen from, and keep that true meanwhile."""
    if not plan.stun_servers:
        yield
        return
    known = asyncio.Event()
    reflexive = Reflexive(node, port, plan.stun_servers, on_change=lambda _: known.set())
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STUN_SECONDS):
                await asyncio.gather(known.wait(), learn_depth(endpoint.scout, plan.stun_servers))
        seen = reflexive.seen
        guesses = seen.guesses(node.ports[port].address.port)
        found = dict.fromkeys([*seen.addresses, *guesses, *endpoint.candidates])
        endpoint.candidates = tuple(found)[:MAX_OBSERVED_CANDIDATES]
        yield
    finally:
        await reflexive.close()
