"""When a relay is reached by WebSocket: as soon as UDP brought no answer for a moment, and until it does.

UDP has a short head start, so that where it works, which is nearly everywhere, no TCP connection is ever seen. What
travels inside is one session from beginning to end: it moves between the two, and nobody it carries takes notice.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Final

from clawchat.crypto.credential import Credential
from clawchat.net.driver import Node
from clawchat.net.websocket import dial, urls_of
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Path
from clawchat.values.limits import JITTER, WEBSOCKET_HEAD_START

DULL_SECONDS: Final = 15.0
"""A relay that was not heard by UDP for this long, and was asked meanwhile, is tried by WebSocket, too."""

DULL_PROBES: Final = 3
"""And so is one that answers nothing of what was sent after so many probe timeouts in a row."""

LINGER_SECONDS: Final = 2.0
"""How long a WebSocket is kept that is in use no more: the relay needs a moment to follow, and what it sent arrives."""

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""The wait before a WebSocket that failed is dialled again doubles from the first of these to the second."""


class Detour:
    """The WebSocket to one relay, while a session with it is begun or lasts; nothing for a relay that takes none."""

    def __init__(self, node: Node, endpoint: Endpoint, relay: Credential, *, port: int, allowed: bool) -> None:
        self._node = node
        self._endpoint = endpoint
        self._relay = relay
        self._port = port
        self._allowed = allowed and bool(relay.websocket)
        self._session = 0
        self._path: Path | None = None
        """The path by which the session goes."""
        self._task: asyncio.Task[None] | None = None
        self._open: asyncio.Task[None] | None = None
        """The task whose WebSocket is open."""

    def begin(self, session: int) -> None:
        """Serve a handshake with the relay that has just begun."""
        self._session = session
        self._start(WEBSOCKET_HEAD_START)

    def on_path(self, path: Path) -> None:
        """Learn by which path the session opened, or goes on."""
        self._path = path
        if path.tunnelled:
            self.look(0.0)  # perhaps only a packet was lost
        else:
            self.end()

    def look(self, quiet: float) -> None:
        """Look for the better path, or for any: the relay was last heard ``quiet`` seconds ago."""
        if self._path is not None and self._path.tunnelled:
            for address in self._relay.candidates:
                self._endpoint.try_path(self._session, Path(self._port, address), now=time.monotonic())
            self._node.wake()
        elif quiet >= DULL_SECONDS or self._unanswered() >= DULL_PROBES:
            self._start(0.0)

    def end(self) -> None:
        """Do without the WebSocket; one that is open is kept for a moment."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._open is task:
            asyncio.get_running_loop().call_later(LINGER_SECONDS, task.cancel)
        else:
            task.cancel()

    def _unanswered(self) -> int:
        session = self._endpoint.sessions.get(self._session)
        return 0 if session is None else session.machines.recovery.pto_count

    def _start(self, delay: float) -> None:
        if self._allowed and self._task is None:
            self._task = asyncio.create_task(self._keep(delay))

    async def _keep(self, delay: float) -> None:
        """Have a WebSocket, and let the session use each new one."""
        await asyncio.sleep(delay)
        urls = urls_of(self._relay)
        pause = FIRST_PAUSE
        while True:
            found = await dial(self._node, urls)
            if found is not None:
                self._open = asyncio.current_task()
                self._endpoint.try_path(self._session, found.path, now=time.monotonic())
                self._node.wake()
                await found.run()
                self._open = None
                pause = FIRST_PAUSE
            if self._node.closed:
                return
            await asyncio.sleep(pause * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 - no secret
            pause = min(2 * pause, LONGEST_PAUSE)
