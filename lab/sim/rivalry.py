"""A rival's two ends and their rendezvous on a simulated internet, behind the same gateways as a cell of ours."""

from __future__ import annotations

from typing import Final

from clawchat.values.address import Address
from lab.sim.internet import Internet
from lab.sim.pair import plan_of_pair
from lab.sim.way import Datagram
from lab.strategies.outcome import Outcome, judged
from lab.strategies.rendezvous import Rendezvous
from lab.strategies.rival import MAIN, Introduction, Rival
from lab.strategies.strategy import Strategy

SERVER_PORT: Final = 3478
FIRST_PORT: Final = 40_001
ROOM: Final = "lab"
FOREVER: Final = 60.0
"""Seconds; every rival gives up before."""


def network(client: str, server: str, *, seed: int, delay: float = 0.01, loss: float = 0.0) -> Internet:
    """Return the internet that a cell of ours would be in; the figures are those of each gateway's cable."""
    return Internet(plan_of_pair(client, server, delay=delay, loss=loss), seed=seed)


class _End:
    """A rival at one node, driven by the internet's clock."""

    def __init__(self, net: Internet, node: str, rival: Rival) -> None:
        self.rival = rival
        self._net = net
        self._node = node
        self._ports: dict[int, Address] = {}
        self._due = float("inf")
        rival.opened(self._address(MAIN))
        self._flush()

    def _address(self, port: int) -> Address:
        if port not in self._ports:
            address = Address(self._net.plan.peers[self._node].address, FIRST_PORT + port)
            self._ports[port] = address
            self._net.listen(address, lambda datagram: self._receive(datagram, port))
        return self._ports[port]

    def _receive(self, datagram: Datagram, port: int) -> None:
        self.rival.receive(datagram.payload, port, datagram.source, now=self._net.now)
        self._flush()

    def _flush(self) -> None:
        for shot in self.rival.take(now=self._net.now):
            self._net.send(self._node, Datagram(self._address(shot.port), shot.to, shot.data))
        if self.rival.deadline < self._due:
            self._due = self.rival.deadline
            self._net.at(self._due, self._on_time)

    def _on_time(self) -> None:
        self._due = float("inf")
        self._flush()


class Rivalry:
    """Two ends of a rival, the client behind gateway ``g1`` and the server behind ``g2``; see `network`.

    ``late`` is how many seconds each of them sleeps when it is told to begin.
    """

    def __init__(
        self, net: Internet, strategy: Strategy, *, seed: int = 1, late: tuple[float, float] = (0.0, 0.0)
    ) -> None:
        self.net = net
        hosts = {host: name for name, one in net.plan.hosts.items() for host in one.addresses}
        addresses = [Address(host, SERVER_PORT) for host in hosts]
        rendezvous = Rendezvous()

        def serve(at: Address, node: str) -> None:
            def answer(datagram: Datagram) -> None:
                for to, data in rendezvous.receive(datagram.payload, datagram.source):
                    net.send(node, Datagram(at, to, data))

            net.listen(at, answer)

        for each in addresses:
            serve(each, hosts[each.host])

        def end(node: str, role: str, sleeps: float) -> Rival:
            told = Introduction(addresses, ROOM, role)
            rival = Rival(strategy, told, late=sleeps, seed=f"{seed}:{node}", now=net.now)
            _End(net, node, rival)
            return rival

        self.client = end("g1-a", "client", late[0])
        self.server = end("g2-a", "server", late[1])

    def run(self) -> Rivalry:
        """Run until the client is direct, or both have given up."""
        self.net.run(self.net.now + FOREVER, stop=lambda: self.client.over and self._settled)
        return self

    @property
    def _settled(self) -> bool:
        return self.client.direct_at is not None or self.server.over

    @property
    def outcome(self) -> Outcome:
        """Judge the client's end."""
        return judged(self.client.signalled_at, self.client.direct_at, self.client.sent)

    @property
    def packets(self) -> int:
        """Return how many datagrams both ends sent towards each other until they were direct."""
        return self.client.sent + self.server.sent
