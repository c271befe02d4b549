"""WebSockets on the simulated internet: what TCP carries arrives whole and in order, a lost segment late.

Of TCP there is what a session notices: whether a connection may be made at all, how long its handshake and the
upgrade take, and that whatever follows a lost segment waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from clawchat.values.address import Address, Path
from lab.model.presets import HTTPS
from lab.sim.internet import Internet
from lab.sim.party import Party

TRIPS: Final = 4
"""Ways from end to end until a WebSocket is open: SYN and its answer, the request and its answer."""

RETRANSMISSION: Final = 0.2
"""Seconds that a lost segment is late (TCP_RTO_MIN of Linux)."""


def open_websocket(internet: Internet, member: Party, relay: Party, opened: Callable[[Path], None]) -> None:
    """Let a peer dial port 443 of a relay. ``opened`` is told its path, unless a gateway on the way forbids it."""
    gateway = internet.plan.layers(internet.plan.peers[member.node].gateway)[-1]
    host = internet.plan.hosts[relay.node]
    delay = gateway.link.delay + host.link.delay
    loss = 1 - (1 - gateway.link.loss) * (1 - host.link.loss)
    random = Random(f"{internet.seed}:{member.node}:{relay.node}")

    if not internet.passes_tcp(member.node, HTTPS):
        return

    def passes() -> bool:
        return not internet.is_cut(gateway.name, host.name)

    def begin() -> None:
        if not passes():
            return
        outward, inward = (_Direction(internet, delay, loss, random, passes) for _ in range(2))
        here = member.open_tunnel(outward.send)
        there = relay.open_tunnel(inward.send)
        outward.to = lambda data: relay.arrived(there, Address(gateway.wan, 0), data)
        inward.to = lambda data: member.arrived(here, Address(host.addresses[0], 0), data)
        opened(Path(here, Address(host.addresses[0], 0)))

    internet.at(internet.now + TRIPS * delay, begin)


class _Direction:
    """What one end of a connection sends."""

    def __init__(
        self, internet: Internet, delay: float, loss: float, random: Random, passes: Callable[[], bool]
    ) -> None:
        self.to: Callable[[bytes], None] = lambda _data: None
        self._internet = internet
        self._delay = delay
        self._loss = loss
        self._random = random
        self._passes = passes
        self._last = 0.0

    def send(self, data: bytes) -> None:
        """Send a message; it is lost only where nothing passes any more."""
        if not self._passes():
            return
        arrival = self._internet.now + self._delay
        while self._random.random() < self._loss:
            arrival += RETRANSMISSION
        self._last = max(self._last, arrival)
        self._internet.at(self._last, lambda: self.to(data))
