"""How many handshakes a responder completes in a second of one core, its sockets left out."""

from __future__ import annotations

import os
import time
from typing import Final

from clawchat.session.endpoint import Endpoint
from clawchat.session.outbound import Transmit
from clawchat.values.address import Address, Path
from clawchat.values.events import SessionOpened
from lab.bench.ends.clawchat import UNBOUNDED, shared_slot
from lab.bench.report import Reading
from lab.bench.stage import CLIENT_ADDRESS, PORT, SERVER_ADDRESS

GROUP: Final = 100
"""Clients that join at once."""

_TO_SERVER: Final = Path(1, Address(CLIENT_ADDRESS, PORT))
_TO_CLIENT: Final = Path(1, Address(SERVER_ADDRESS, PORT))


class Pair:
    """A responder and the initiators that join it, in memory; the responder's processor time is counted."""

    def __init__(self) -> None:
        self.server = Endpoint(random=os.urandom, config=UNBOUNDED)
        self.client = Endpoint(random=os.urandom)
        self.slot = shared_slot(SERVER_ADDRESS, PORT)
        self.server.arm(self.slot, deadline=float("inf"))
        self.server_cpu = 0.0

    def join(self, count: int, *, now: float) -> int:
        """Carry `count` handshakes to the packet that confirms them; return how many sessions the server opened."""
        for _ in range(count):
            self.client.connect(self.slot.credential, port=1, now=now)
        hellos = self.client.transmits(now=now)
        welcomes = self._serve(hellos, now=now)
        for transmit in welcomes:
            self.client.receive(memoryview(transmit.data), transmit.size, _TO_CLIENT, now=now)
        while confirmations := self.client.transmits(now=now):
            self._serve(confirmations, now=now)
        return sum(isinstance(event, SessionOpened) for event in self.server.events())

    def _serve(self, transmits: list[Transmit], *, now: float) -> list[Transmit]:
        # The views die with the client's next call, so they are copied before the clock starts.
        arrived = [(memoryview(bytes(transmit.data)), transmit.size) for transmit in transmits]
        answers = []
        begun = time.process_time()
        for data, size in arrived:
            self.server.receive(data, size, _TO_SERVER, now=now)
        while some := self.server.transmits(now=now):
            answers += [Transmit(bytes(one.data), one.size, one.path, one.ttl) for one in some]
        self.server_cpu += time.process_time() - begun
        return answers


def measure_handshakes(seconds: float) -> list[Reading]:
    """Join group after group for so many seconds of this process's time."""
    done = 0
    spent = 0.0
    rates = []
    end = time.process_time() + seconds
    while time.process_time() < end or not done:
        # A fresh pair each time, so that tables do not grow without end.
        pair = Pair()
        opened = pair.join(GROUP, now=time.monotonic())
        if opened != GROUP:
            raise RuntimeError(f"only {opened} of {GROUP} handshakes were completed; drops: {dict(pair.server.drops)}")
        done += opened
        spent += pair.server_cpu
        rates.append(opened / pair.server_cpu)
    return [
        Reading("responder", done / spent, "handshakes/s of a core", f"HELLO to confirmed session, {done} of them"),
        Reading("responder, best group", max(rates), "handshakes/s of a core", f"the fastest {GROUP} in a row"),
    ]
