"""The ports of one endpoint: opened and closed as it asks, given a new socket when the system took the old one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

from clawchat.net.error_queue import TTL_EXPIRED, PathError
from clawchat.net.gate import Backlog, Gate
from clawchat.net.port_opening import open_port
from clawchat.net.sockets import UdpPort
from clawchat.net.surface import Core
from clawchat.net.tunnel import Tunnel
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address
from clawchat.values.errors import PersonalError
from clawchat.values.events import ClosePort, OpenPort

REBIND_PAUSE: Final = 1.0
"""A port that needs another new socket sooner than this is given up."""

EVERY_INTERFACE: Final = "0.0.0.0"  # noqa: S104 - a peer may come from any network
"""Where a port is opened when neither the program nor the endpoint said where."""


class Opener(Protocol):
    """How a port is opened."""

    def __call__(self, handle: int, address: Address, *, offload: bool | None) -> UdpPort:
        """Open a port. Raises PersonalError."""


class Ports:
    """Open, close and mend the ports of an endpoint, and tell it what happens to them."""

    def __init__(  # noqa: PLR0913 - the three it calls, and how it opens
        self,
        core: Core,
        loop: asyncio.AbstractEventLoop,
        *,
        on_readable: Callable[[Gate], None],
        on_drained: Callable[[], None],
        on_icmp: Callable[[PathError], None] | None = None,
        offload: bool | None = None,
        opener: Opener = open_port,
    ) -> None:
        self._core = core
        self._loop = loop
        self._on_readable = on_readable
        self._on_drained = on_drained
        self._on_icmp = on_icmp
        self._offload = offload
        self._opener = opener
        self._host = EVERY_INTERFACE
        self._reopened: dict[int, float] = {}
        self._next_handle = 0
        self.gates: dict[int, Gate] = {}
        self.tunnels: dict[int, Tunnel] = {}
        self.backlog = Backlog()

    def open(self, address: Address, handle: int | None = None) -> int:
        """Open a port and tell the endpoint; return its handle. Raises PersonalError."""
        handle = self._next_handle if handle is None else handle
        port = self._opener(handle, address, offload=self._offload)
        if not self.gates:
            self._host = address.host
        self._next_handle = max(self._next_handle, handle + 1)
        self.gates[handle] = Gate(
            port,
            self._loop,
            self.backlog,
            on_readable=self._on_readable,
            on_drained=self._on_drained,
            on_broken=self.mend,
        )
        self._core.port_opened(handle, port.address, now=time.monotonic())
        return handle

    def obey(self, event: OpenPort | ClosePort) -> None:
        """Do what the endpoint asks; its ports open where the program's first one did, unless it says where."""
        if isinstance(event, ClosePort):
            self.close(event.handle)
            return
        self._next_handle = max(self._next_handle, event.handle + 1)
        try:
            self.open(event.address or Address(self._host, 0), event.handle)
        except PersonalError:
            self._core.port_failed(event.handle, now=time.monotonic())

    def close(self, handle: int) -> None:
        """Close a port."""
        gate = self.gates.pop(handle, None)
        self._reopened.pop(handle, None)
        if gate is not None:
            gate.close()

    def close_all(self) -> None:
        """Close every port."""
        for handle in list(self.gates):
            self.close(handle)
        for tunnel in list(self.tunnels.values()):
            tunnel.close()

    def send(self, transmit: Transmit) -> None:
        """Send a batch; one for a port that was closed meanwhile is lost, as datagrams are."""
        gate = self.gates.get(transmit.path.port)
        if gate is not None:
            gate.send(transmit)
            if gate.port.reports:
                self.report(gate)
        elif (tunnel := self.tunnels.get(transmit.path.port)) is not None:
            tunnel.send(transmit.data, transmit.size)

    def report(self, gate: Gate) -> None:
        """Tell the endpoint and the program what a port learned about its paths."""
        reports, gate.port.reports = gate.port.reports, []
        now = time.monotonic()
        for report in reports:
            # a datagram that was meant to die on the way says nothing against the path
            if report.name != TTL_EXPIRED:
                self._core.path_error(report.path, report.name, now=now)
            if self._on_icmp is not None and report.offender:
                self._on_icmp(report)

    def mend(self, gate: Gate) -> None:
        """Give a port a new socket: at the same number, so that NATs keep their mappings, or else at any."""
        handle, address = gate.port.handle, gate.port.address
        if self.gates.get(handle) is not gate:
            return
        now = time.monotonic()
        too_soon = now - self._reopened.get(handle, -REBIND_PAUSE) < REBIND_PAUSE
        self._reopened[handle] = now
        gate.shut()
        for choice in () if too_soon else (address, Address(address.host, 0), Address(self._host, 0)):
            try:
                port = self._opener(handle, choice, offload=self._offload)
            except PersonalError:
                continue
            gate.replace(port)
            self._core.port_opened(handle, port.address, now=now)
            self._core.network_changed(now=now)
            return
        self.close(handle)
        self._core.port_failed(handle, now=now)
