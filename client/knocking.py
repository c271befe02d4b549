"""Knock from another port when nobody answers.

Something on the way may have gone wrong for one port alone, and stay so as long as we send from it: a gateway that
took an early packet for its own, or a container's port that was published while we knocked already.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Final

from clawchat.net.driver import Node
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address, Path
from clawchat.values.errors import PersonalError
from clawchat.values.events import ClosePort

PAUSES: Final = (4.0, 8.0, 16.0)
"""How long each port has before the next one knocks as well, seconds: the first one time for four HELLOs."""


class Knocking:
    """Let a handshake go out by one more port after each pause, until ``settle`` is called."""

    def __init__(
        self, node: Node, endpoint: Endpoint, addresses: Sequence[Address], *, attempt: int, host: str
    ) -> None:
        self._node = node
        self._endpoint = endpoint
        self._addresses = addresses
        self._attempt = attempt
        self._host = host
        self._ports: list[int] = []
        self._task = asyncio.create_task(self._run())

    def settle(self, used: int | None = None) -> None:
        """Knock no more, and close the ports that were opened for it, but for the one that is used."""
        self._task.cancel()
        for handle in self._ports:
            if handle != used:
                self._endpoint.emit(ClosePort(handle))
                self._endpoint.port_failed(handle, now=time.monotonic())
        self._ports = []
        self._node.wake()

    async def _run(self) -> None:
        for pause in PAUSES if self._addresses else ():
            await asyncio.sleep(pause)
            with contextlib.suppress(PersonalError):
                handle = await self._node.open_port(Address(self._host, 0))
                self._ports.append(handle)
                for address in self._addresses:
                    self._endpoint.try_path(self._attempt, Path(handle, address), now=time.monotonic())
                self._node.wake()
