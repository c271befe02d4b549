"""The simulator as a ground: nothing waits, the clock jumps."""

from __future__ import annotations

from collections import deque
from typing import Final

from clawchat.values.address import Address
from lab.gate.ground import Arrival
from lab.model.plan import Plan
from lab.sim.internet import Internet
from lab.sim.way import DEFAULT_TTL, Complaint, Datagram, Trouble


class SimulatedSocket:
    """A socket of a simulated node."""

    def __init__(self, internet: Internet, node: str, address: Address) -> None:
        self._internet = internet
        self._node = node
        self._address: Final = address
        self._arrived: deque[Arrival] = deque()
        self._refusals = 0
        internet.listen(address, self._on_datagram, self._on_complaint)

    @property
    def address(self) -> Address:
        """Return the node's own address and port."""
        return self._address

    def send(self, payload: bytes, to: Address, *, ttl: int | None = None) -> None:
        """Send a datagram."""
        self._internet.send(self._node, Datagram(self._address, to, payload, DEFAULT_TTL if ttl is None else ttl))

    async def receive(self, patience: float) -> Arrival | None:
        """Return the next datagram; None when there was none for so many virtual seconds."""
        if not self._arrived:
            self._internet.run(self._internet.now + patience, stop=lambda: bool(self._arrived))
        return self._arrived.popleft() if self._arrived else None

    async def refused(self, patience: float) -> bool:
        """Tell whether a closed port was complained about."""
        if not self._refusals:
            self._internet.run(self._internet.now + patience, stop=lambda: bool(self._refusals))
        return bool(self._refusals)

    def close(self) -> None:
        """Give the port back."""
        self._internet.close(self._address)

    def _on_datagram(self, datagram: Datagram) -> None:
        self._arrived.append(Arrival(datagram.payload, datagram.source))

    def _on_complaint(self, complaint: Complaint) -> None:
        self._refusals += complaint.trouble is Trouble.PORT_UNREACHABLE


class SimulatedGround:
    """A plan in the simulator."""

    def __init__(self, plan: Plan, *, seed: int = 0) -> None:
        self.plan = plan
        self.internet = Internet(plan, seed=seed)

    def open(self, node: str, address: Address) -> SimulatedSocket:
        """Open a socket of a node."""
        return SimulatedSocket(self.internet, node, address)

    def now(self) -> float:
        """Return the virtual time."""
        return self.internet.now

    async def rest(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.internet.run(self.internet.now + seconds)

    async def connects(self, node: str, to: Address) -> bool:
        """Tell whether the gateways on the way pass such a connection."""
        return self.internet.passes_tcp(node, to.port)
