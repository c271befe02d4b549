"""Find out what the NAT in front of us does, with servers that answer from two addresses (RFC 5780).

Two ports of ours take part. The first asks from everywhere and shows how the NAT maps. The second has only ever
spoken to one address and port of a server, so what reaches it from the server's other ones shows how the NAT filters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from clawchat.nat.mapping import Dependence, Observation
from clawchat.nat.scope import is_loopback, is_public
from clawchat.nat.stun import Change
from clawchat.nat.stun_client import FIRST_WAIT, Outgoing, Result, StunClient
from clawchat.values.address import Address

LIMIT: Final = 3.0
"""Seconds after which what has not answered counts as silent."""

REQUESTS: Final = 3
"""Within the limit, and enough that one network in twenty loses them all only when it loses a third of everything."""


class Port(IntEnum):
    """Which of our two ports a datagram belongs to."""

    MAPPING = 0
    FILTERING = 1


class Step(NamedTuple):
    """A datagram to be sent through one of our ports."""

    port: Port
    outgoing: Outgoing


class Discovery:
    """Ask all servers at once, then the other addresses they name. Drive it like any machine until it is ``done``.

    ``local_ports`` are the numbers of our two ports. All servers are of one IP version.
    """

    def __init__(
        self,
        servers: Sequence[Address],
        local_ports: tuple[int, int],
        *,
        random: Callable[[int], bytes],
        now: float,
        limit: float = LIMIT,
    ) -> None:
        self.results: list[Result] = []
        """How the questions from the mapping port ended."""

        self._clients = tuple(StunClient(random=random, requests=REQUESTS, first_wait=FIRST_WAIT) for _ in Port)
        self._local_ports = local_ports
        self._deadline = now + limit
        self._behind: Result | None = None
        self._filtering: dict[Change, bool | None] = {}
        self._asked = set(servers)
        self._own: Observation | None = None
        for server in dict.fromkeys(servers):
            self._clients[Port.MAPPING].ask(server, now=now)

    @property
    def done(self) -> bool:
        """Tell whether there is nothing more to hear."""
        return all(client.idle for client in self._clients)

    @property
    def observations(self) -> list[Observation]:
        """Return what the servers saw of us, in the order in which it was asked."""
        seen = [
            (each.number, Observation(self._local_ports[Port.MAPPING], each.server, each.reply.mapped, each.asked_at))
            for each in self.results
            if each.reply is not None and each.reply.mapped is not None
        ]
        told = [observation for _, observation in sorted(seen)]
        return sorted([*told, *([self._own] if self._own else [])], key=lambda each: each.at)

    @property
    def filtering(self) -> Dependence:
        """Say what the NAT, or a firewall, looks at before it lets something in; unknown until ``done``."""
        anywhere, port = self._filtering.get(Change.IP | Change.PORT), self._filtering.get(Change.PORT)
        if anywhere:
            return Dependence.ENDPOINT_INDEPENDENT
        if anywhere is None or port is None:
            return Dependence.UNKNOWN
        return Dependence.ADDRESS_DEPENDENT if port else Dependence.ADDRESS_AND_PORT_DEPENDENT

    def transmits(self, *, now: float) -> list[Step]:
        """Return what is due to be sent."""
        if now >= self._deadline:
            for client in self._clients:
                client.give_up(now=now)
        steps = [Step(port, outgoing) for port in Port for outgoing in self._clients[port].transmits(now=now)]
        self._take(now)
        return steps

    def next_timeout(self) -> float:
        """Return when to call ``transmits`` again."""
        return min(self._deadline, *(client.next_timeout() for client in self._clients))

    def receive(self, port: Port, data: bytes, source: Address, *, now: float) -> None:
        """Take a datagram in. Raises BadDatagram."""
        self._clients[port].receive(data, source, now=now)
        self._take(now)

    def _take(self, now: float) -> None:
        for result in self._clients[Port.MAPPING].results():
            self.results.append(result)
            self._ask_elsewhere(result, now)
        for result in self._clients[Port.FILTERING].results():
            self._hear_filtering(result, now)

    def _ask_elsewhere(self, result: Result, now: float) -> None:
        """Ask a server's other addresses as well, and let the first server that has them test the filter."""
        other = result.reply.other if result.reply is not None else None
        if other is None or not is_other(other, result.server) or now >= self._deadline:
            return
        server = result.server
        for each in (Address(other.host, server.port), other, Address(server.host, other.port)):
            if each not in self._asked:
                self._asked.add(each)
                self._clients[Port.MAPPING].ask(each, now=now)
        if self._behind is None:
            self._behind = result
            self._clients[Port.FILTERING].ask(server, now=now)

    def _hear_filtering(self, result: Result, now: float) -> None:
        if result.change:
            refused = result.reply is not None and result.reply.error
            self._filtering[result.change] = None if refused else result.reply is not None
        elif result.reply is not None and result.reply.mapped is not None and now < self._deadline:
            self._own = Observation(
                self._local_ports[Port.FILTERING], result.server, result.reply.mapped, result.asked_at
            )
            for change in (Change.IP | Change.PORT, Change.PORT):
                self._clients[Port.FILTERING].ask(result.server, change, now=now)


def is_other(other: Address, server: Address) -> bool:
    """Tell whether an address that a server calls its other one may be asked.

    Both its parts differ, and nobody outside sends us to our own machine or into our own network with it.
    """
    return (
        other.is_ipv6 is server.is_ipv6
        and other.host != server.host
        and other.port != server.port
        and is_loopback(other.host) is is_loopback(server.host)
        and is_public(other.host) is is_public(server.host)
    )
