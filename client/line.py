"""One session of a conversation after the other: dial, and dial again by what the server handed over."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import Final

from clawchat.crypto.secfile import check_fresh
from clawchat.net.user_events import Connecting, UserEvent
from clawchat.services.preface import StreamCode
from clawchat.values.errors import PathsExhausted, PeerClosed, SecurityFileError, TimedOut
from client.opening import Opened
from client.plan import Plan
from client.reach import Reached, reached
from client.returns import KnownServers

GOES_ON: Final = frozenset({StreamCode.SHUTDOWN})
"""Codes with which a server closes that will be back."""


class Line:
    """A session that is up, with all that keeps it up."""

    def __init__(self, server: Reached, stack: contextlib.AsyncExitStack) -> None:
        self.reached = server
        self._stack = stack

    @classmethod
    async def dial(cls, plan: Plan, emit: Callable[[UserEvent], None]) -> Line:
        """Connect. Raises PersonalError."""
        stack = contextlib.AsyncExitStack()
        return cls(await stack.enter_async_context(reached(plan, emit)), stack)

    async def hang_up(self) -> None:
        """Let go of everything."""
        await self._stack.aclose()


def is_lost(error: BaseException) -> bool:
    """Tell whether a session ended so that another one may follow: nobody meant to end the conversation."""
    if isinstance(error, PeerClosed):
        return error.close_code in GOES_ON
    return isinstance(error, TimedOut | PathsExhausted)


def way_back(plan: Plan) -> Plan | None:
    """Plan the next session by the credential that the server handed over last, None if there is none.

    Raises SecurityFileError (CC-FILE-EXPIRED) when the time to come back is over.
    """
    known, name = KnownServers(plan.places.state), plan.opened.credential.name
    if plan.forget or name not in known.names():
        return None
    try:
        credential = known.open(name, plan.opened.bootstrap)
    except SecurityFileError:
        return None
    if check_fresh(credential, time.time()) is not None:
        raise SecurityFileError("CC-FILE-EXPIRED", f"the time in which {name} takes us back without a new file is over")
    return dataclasses.replace(
        plan,
        opened=Opened(credential, plan.opened.bootstrap, plan.opened.notes, back=True, file=plan.opened.file),
        # The port may still be taken by the session that this one follows.
        local=plan.local._replace(port=0),
        post=None if plan.post is None else plan.post.renewed(credential),
    )


def quietly(emit: Callable[[UserEvent], None]) -> Callable[[UserEvent], None]:
    """Leave out that a handshake was begun: it is one of many."""

    def show(event: UserEvent) -> None:
        if not isinstance(event, Connecting):
            emit(event)

    return show


def seconds_left(plan: Plan) -> float:
    """Say for how long the server takes us back."""
    return max(0.0, plan.opened.credential.valid_until - time.time())
