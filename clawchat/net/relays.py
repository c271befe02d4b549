"""Membership of relays: join them through a port of our own, notice when one is gone, and join it again.

A relay is joined by UDP, and where that brings no answer, by a WebSocket that is left again as soon as UDP does.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from clawchat.crypto.credential import Credential
from clawchat.net.depth import feel_depth
from clawchat.net.detour import Detour
from clawchat.net.driver import Node
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.errors import UsageError
from clawchat.values.events import Event, PathChanged, SessionEnded, SessionOpened
from clawchat.values.limits import HANDSHAKE_TIMEOUT, JITTER

LOOK_SECONDS: Final = 5.0
"""How often it is looked whether a relay still answers."""

QUIET_SECONDS: Final = 10.0
"""A relay that was not heard for this long is asked."""

GONE_SECONDS: Final = 20.0
"""A relay that was not heard for this long is joined anew: it may have been restarted, and knows us no more."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""The wait before the next attempt to join doubles from the first of these to the second."""

LEFT: Final = "left"


class Membership(NamedTuple):
    """That we are a member of a relay now: by this session, which carries others as this virtual port."""

    relay: Credential
    session: int
    link: int
    observed: Address | None
    """Where the relay saw us when we joined."""
    port: int
    """The port that it saw there; an endpoint may have left it since."""


class Relays:
    """Be a member of some relays.

    ``on_joined`` is told each membership as it begins, ``on_left`` as it ends, ``on_moved`` when it goes on by another
    path. ``on_silent`` is told a relay that did not answer in time. All of them are called on the loop's thread.
    """

    def __init__(  # noqa: PLR0913 - whom to join, by what means, and whom to tell
        self,
        node: Node,
        endpoint: Endpoint,
        relays: Sequence[Credential],
        *,
        port: int,
        websocket: bool = True,
        on_joined: Callable[[Membership], None],
        on_left: Callable[[Membership], None] = lambda _: None,
        on_moved: Callable[[Membership, PathChanged], None] = lambda _member, _event: None,
        on_silent: Callable[[Credential], None] = lambda _: None,
    ) -> None:
        self.members: dict[int, Membership] = {}  # by session
        self._node = node
        self._endpoint = endpoint
        self._port = port
        self._websocket = websocket
        self._on_joined = on_joined
        self._on_left = on_left
        self._on_moved = on_moved
        self._on_silent = on_silent
        self._relays = relays
        self._most: int | None = None
        self._using: Callable[[], int | None] = lambda: None
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._feeling: asyncio.Task[None] | None = None
        self._join_missing()

    async def leave(self) -> None:
        """Leave all relays, and join none again."""
        self.keep(0)
        if self._feeling is not None:
            self._feeling.cancel()
        feeling = [] if self._feeling is None else [self._feeling]
        await asyncio.gather(*self._tasks.values(), *feeling, return_exceptions=True)

    def keep(self, most: int, *, using: Callable[[], int | None] = lambda: None) -> None:
        """Stay a member of so many relays, and join another when one of them is lost.

        ``using`` tells the link of the relay that is needed most.
        """
        self._most, self._using = most, using
        self._leave_spare()

    def _leave_spare(self) -> None:
        if self._most is None or len(self.members) < self._most:
            return
        used = self._using()
        sessions = self._endpoint.sessions
        ranked = sorted(self.members.values(), key=lambda one: (one.link != used, sessions[one.session].path.tunnelled))
        kept = {member.relay.slot_id for member in ranked[: self._most]}
        for slot_id, task in self._tasks.items():
            if slot_id not in kept:
                task.cancel()

    def _join_missing(self) -> None:
        for relay in self._relays if self._most != 0 else ():
            task = self._tasks.get(relay.slot_id)
            if task is None or task.done():
                self._tasks[relay.slot_id] = asyncio.create_task(self._keep(relay))

    async def _keep(self, relay: Credential) -> None:
        pause = FIRST_PAUSE
        while True:
            was_member = await self._join(relay)
            pause = FIRST_PAUSE if was_member else min(2 * pause, LONGEST_PAUSE)
            if was_member:
                self._join_missing()
            # many servers may have lost this relay at the same moment
            await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret

    async def _join(self, relay: Credential) -> bool:
        """Be a member once, from the first HELLO to the end of the session; tell whether we became one."""
        ended = asyncio.Event()
        detour = Detour(self._node, self._endpoint, relay, port=self._port, allowed=self._websocket)

        def listen(event: Event) -> None:
            match event:
                case SessionOpened():
                    session = self._endpoint.sessions[event.session]
                    link = self._endpoint.link(event.session, now=time.monotonic())
                    found = self.members[event.session] = Membership(
                        relay, event.session, link, session.observed, event.path.port
                    )
                    detour.on_path(event.path)
                    self._feel_depth(found)
                    self._on_joined(found)
                    self._leave_spare()
                    self._node.wake()
                case PathChanged():
                    detour.on_path(event.path)
                    if event.session in self.members:
                        self._on_moved(self.members[event.session], event)
                case SessionEnded():
                    ended.set()

        session = self._endpoint.connect(relay, port=self._port, now=time.monotonic(), timeout=HANDSHAKE_TIMEOUT)
        self._node.attach(session, listen)
        self._node.wake()
        detour.begin(session)
        try:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):  # wait_for of Python 3.11 may lose a cancellation
                        await ended.wait()
                if self._is_gone(session):
                    break
                if session in self.members:
                    detour.look(self._quiet(session))
        finally:
            detour.end()
            self._node.detach(session)
            found = self._part(session)
        if found is None:
            self._on_silent(relay)
        return found is not None

    def _feel_depth(self, member: Membership) -> None:
        """Learn by this relay how far packets go that open our own NATs, unless that is being done."""
        if self._feeling is None or self._feeling.done():
            feeling = feel_depth(self._node, self._endpoint, member.session, port=self._port)
            self._feeling = asyncio.create_task(feeling)

    def _is_gone(self, session_id: int) -> bool:
        """Ask a quiet relay for a sign of life; tell whether it has long given none."""
        session = self._endpoint.sessions.get(session_id)
        if session is None or session_id not in self.members:
            return False
        quiet = self._quiet(session_id)
        if quiet >= QUIET_SECONDS:
            with contextlib.suppress(UsageError):
                session.ping()
            self._node.wake()
        return quiet >= GONE_SECONDS

    def _quiet(self, session_id: int) -> float:
        """Return for how many seconds a relay was not heard."""
        session = self._endpoint.sessions.get(session_id)
        return 0.0 if session is None else session.stats(now=time.monotonic()).heard

    def _part(self, session_id: int) -> Membership | None:
        """Let go of a session, whatever state it is in; return the membership that ends with it."""
        session = self._endpoint.sessions.get(session_id)
        if session is None:
            self._endpoint.abandon(session_id)
        else:
            session.close(0, LEFT, now=time.monotonic(), at_once=True)
            self._node.wake()
        found = self.members.pop(session_id, None)
        if found is not None:
            self._on_left(found)
        return found
