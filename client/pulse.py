"""Keep asking whether the other end answers, and tell when it does not and when it does again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Final

from clawchat.net.user_events import Back, PingLost, Pong, Silent
from client.peer import Peer, describe_path
from client.watch import Watch

HEARTBEAT: Final = 1.0
"""How often the watch looks at the time."""

PING_BEATS: Final = 10
"""A ping every so many beats: often enough that the round trip shown is a fresh one."""


class Pulse:
    """The heartbeat of one session; ``run`` it as a task."""

    def __init__(
        self, peer: Peer, emit: Callable[[Silent | Back], None], *, why_relayed: Callable[[], str] = str
    ) -> None:
        self._peer = peer
        self._emit = emit
        self._why_relayed = why_relayed
        self._watch = Watch()
        self._background: asyncio.Task[float] | None = None
        self._pings = 0

    async def run(self) -> None:
        """Beat until cancelled."""
        for beat in itertools.count():
            if beat % PING_BEATS == 0:
                self._ping_in_background()
            await asyncio.sleep(HEARTBEAT)
            self.look()

    def look(self) -> None:
        """Look whether the other end was heard, and how long ago it was asked."""
        now, figures = time.monotonic(), self._peer.stats()
        # What was heard answers nothing that was asked less than a round trip before it.
        back = self._watch.answered(now - figures.heard - figures.rtt_min, now=now)
        for event in (back, self._watch.tick(now=now)):
            if event is not None:
                self._emit(event)

    def asked(self) -> None:
        """Note that something was sent that will be answered."""
        self._watch.asked(now=time.monotonic())

    async def ping(self, timeout: float) -> Pong | PingLost:
        """Measure one round trip, waiting at most ``timeout`` seconds."""
        self._pings += 1
        sequence = self._pings
        self.asked()
        try:
            rtt = await asyncio.wait_for(self._peer.ping(), timeout)
        except TimeoutError:
            return PingLost(sequence)
        path = self._peer.path
        why = self._why_relayed() if path.relayed else None
        named = describe_path(path, tunnelled=self._peer.tunnelled)
        return Pong(sequence, round(rtt * 1000, 3), named, why)

    @property
    def waiting(self) -> float:
        """For how many seconds the other end has owed an answer."""
        return self._watch.waiting(now=time.monotonic())

    @property
    def silent(self) -> bool:
        """Tell whether a silence was told and is not over."""
        return self._watch.silent

    def stop(self) -> None:
        """Give up the ping that is under way."""
        if self._background is not None:
            self._background.cancel()

    def _ping_in_background(self) -> None:
        if self._background is None or self._background.done():
            self.asked()
            self._background = asyncio.create_task(self._peer.ping())
            self._background.add_done_callback(_forget_failure)


def _forget_failure(task: asyncio.Task[float]) -> None:
    """Leave the end of the session to whoever waits for it."""
    if not task.cancelled():
        task.exception()
