"""A server moves to another port: the router maps the new one first, and files and clients are told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from clawchat.net.driver import Node
from clawchat.session.endpoint import Endpoint
from clawchat.values.address import Address
from clawchat.values.events import PortClosed, PortEvent, PortKept, PortMoved, PortReady
from server.guest import Guest
from server.handing import Handing
from server.logs import Log
from server.reach import Reach
from server.relays import ServerRelays
from server.settings import Settings, public_address


class Mover(Protocol):
    """The server, as its moves see it."""

    endpoint: Endpoint
    guests: dict[int, Guest]
    handing: Handing
    handle: int
    log: Log
    node: Node
    port: Address
    reach: Reach
    relays: ServerRelays
    settings: Settings


def port_rotation(settings: Settings) -> float:
    """Return how often the port changes, in seconds; 0 where the operator has fixed it, here or at a router."""
    public = settings.networking.public_address
    fixed = settings.server.port or (public is not None and public_address(public, 0).port)
    return 0.0 if fixed else settings.encryption.port_rotation_interval


class Moving:
    """Make each new port ready, and let go of old ones.

    ``spawn`` lets something go on in the background, ``reach_changed`` tells everybody where we are to be found now.
    """

    def __init__(
        self,
        mover: Mover,
        *,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        reach_changed: Callable[[], None],
    ) -> None:
        self._mover = mover
        self._spawn = spawn
        self._reach_changed = reach_changed
        self._fresh: Reach | None = None
        self._old: dict[int, Reach] = {}

    def make_reach(self) -> Reach:
        """Make what knows where a port is reached."""
        mover = self._mover
        return Reach(
            mover.settings.networking,
            mover.node,
            mover.log,
            relayed=mover.relays.observed,
            on_change=self._reach_changed,
        )

    def candidates(self) -> list[Address]:
        """Return where the port in use is reached."""
        return self._mover.reach.candidates()

    def start(self, handle: int) -> None:
        """Use the first port."""
        mover = self._mover
        mover.handle = handle
        mover.port = mover.node.ports[handle].address
        mover.reach.start(handle)
        mover.relays.start(handle)

    def on_event(self, event: PortEvent) -> None:
        """Do what a step of a move asks for."""
        mover = self._mover
        match event:
            case PortReady():
                self._spawn(self._prepare(event))
            case PortMoved(old, new, left):
                self._moved(old, new)
                mover.log.info("port-moved", port=str(mover.port), left=left)
            case PortKept(why):
                mover.log.warning("port-kept", port=str(mover.port), why=why)
                if self._fresh is not None:
                    self._spawn(self._fresh.close())
                    self._fresh = None
            case PortClosed(handle):
                mover.log.info("port-closed")
                if (reach := self._old.pop(handle, None)) is not None:
                    self._spawn(reach.close())

    async def close(self) -> None:
        """Ask routers no more, and give back what they map."""
        for reach in [*self._old.values(), *([self._fresh] if self._fresh is not None else [])]:
            await reach.close()

    async def _prepare(self, event: PortReady) -> None:
        mover = self._mover
        fresh = self._fresh = self.make_reach()
        fresh.start(event.handle)
        await fresh.settled()
        mover.endpoint.announce_port(event.handle, tuple(fresh.candidates()), now=time.monotonic())
        mover.node.wake()

    def _moved(self, old: int, new: int) -> None:
        """Let everything name the new port: candidates, files, and what clients come back with."""
        mover = self._mover
        if self._fresh is None:
            return
        self._old[old], mover.reach, self._fresh = mover.reach, self._fresh, None
        mover.handle = new
        mover.port = mover.node.ports[new].address
        self._reach_changed()
        for number, guest in mover.guests.items():
            self._spawn(mover.handing.give(number, guest.name))
