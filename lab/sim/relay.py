"""A relay on the simulated internet, with every address that its host has."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from random import Random
from typing import Final

from clawchat.crypto.credential import Credential, Slot, make_slot
from clawchat.services.relay import RelayHub
from clawchat.session.config import EndpointConfig
from clawchat.values.address import Address
from clawchat.values.events import BoxRegistered, Event, ForwardReceived, SessionEnded, SessionOpened
from lab.sim.internet import Internet
from lab.sim.party import Party

FOREVER: Final = 1e9


def copied(credential: Credential) -> Credential:
    """Return a copy with secrets of its own, which may be wiped."""
    return replace(
        credential,
        secret=bytearray(credential.secret),
        hello_header_key=bytearray(credential.hello_header_key),
    )


@lru_cache
def _slot(candidates: tuple[Address, ...]) -> Slot:
    """Make what everybody joins a relay by. It outlives its relay, as a security file outlives many runs of one."""
    random = Random(str(candidates))
    return make_slot(
        random.randbytes,
        name="relay",
        hello_header_key=random.randbytes(32),
        candidates=candidates,
        relays=[],
        timestamp=0,
        validity=10**9,
        reusable=True,
    )


class Relay:
    """A relay, with every address that its host has."""

    def __init__(self, net: Internet, host: str, random: Random, *, seed: int) -> None:
        self._net = net
        self._hub = RelayHub(random.randbytes)
        node = net.plan.hosts[host]
        self.party = Party(
            net, host, node.addresses[0], self._take, seed=seed, config=EndpointConfig(handshake_rate=FOREVER)
        )
        self.addresses = tuple(self.party.open(handle, host) for handle, host in enumerate(node.addresses))
        self.party.endpoint.candidates = self.addresses
        self._slot = _slot(self.addresses[:1])
        self.party.endpoint.arm(self._slot, deadline=FOREVER)

    def credential(self) -> Credential:
        """Return a copy of what its clients hold."""
        return copied(self._slot.credential)

    def kill(self) -> None:
        """Fall silent at once."""
        for address in self.addresses:
            self._net.close(address)
        self.party.hang_up()

    def leave(self) -> None:
        """End as a relay does that is told to stop: it says so to its members."""
        self.party.endpoint.close_all(now=self._net.now, code=0, reason="the relay is stopping")
        self.party.flush()

    def _take(self, event: Event) -> None:
        match event:
            case SessionOpened(session):
                self._hub.join(session, now=self._net.now)
            case SessionEnded(session):
                self._hub.leave(session)
            case BoxRegistered(session, box):
                self._hub.register(session, box)
            case ForwardReceived(session, box, data):
                delivery = self._hub.forward(session, box, data, now=self._net.now)
                if delivery is not None:
                    self.party.endpoint.sessions[delivery.member].forward(delivery.box, delivery.data)
            case _:
                pass
