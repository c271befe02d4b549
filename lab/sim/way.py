"""The way of a datagram: what is carried, the cables, and what a gateway does with it on each side."""

from __future__ import annotations

import enum
from collections.abc import Callable
from copy import copy
from random import Random
from typing import Final, NamedTuple

from clawchat.values.address import Address
from lab.model.link import Crossing, Link
from lab.model.nat import Unsolicited
from lab.model.plan import PlannedGateway
from lab.sim.clock import Clock
from lab.sim.nat import SimulatedNat

DEFAULT_TTL: Final = 64
"""What Linux gives a datagram (net.ipv4.ip_default_ttl)."""


class Datagram(NamedTuple):
    """One datagram as it is at some place of its way."""

    source: Address
    destination: Address
    payload: bytes
    ttl: int = DEFAULT_TTL


class Trouble(enum.StrEnum):
    """What an ICMP message says about a datagram."""

    TTL_EXCEEDED = "ttl-exceeded"
    PORT_UNREACHABLE = "port-unreachable"
    HOST_UNREACHABLE = "host-unreachable"


class Complaint(NamedTuple):
    """An ICMP message, as the sender of the datagram sees it."""

    trouble: Trouble
    offender: str
    """The address of who complains."""
    datagram: Datagram
    """As it was sent."""


class Journey:
    """A datagram under way: what becomes of it, and how its sender knows it."""

    __slots__ = ("began", "destination", "sent", "source", "ttl")

    def __init__(self, sent: Datagram, began: float) -> None:
        self.sent = sent
        self.began = began
        self.source, self.destination, _, self.ttl = sent

    @property
    def datagram(self) -> Datagram:
        """Return the datagram as it is here."""
        return Datagram(self.source, self.destination, self.sent.payload, self.ttl)


Handler = Callable[[Journey], None]
Complain = Callable[[Trouble, str, Journey], None]


class Lane:
    """One direction of a cable; whatever comes out is handed to ``beyond``."""

    __slots__ = ("_arrival", "_beyond", "_clock", "_crossing", "_delay", "_train")

    def __init__(self, clock: Clock, link: Link, seed: str, beyond: Handler) -> None:
        self._clock = clock
        self._beyond = beyond
        self._delay = link.delay
        self._crossing = None if link.even else Crossing(link, Random(seed))
        """None: all that happens to a datagram is that it comes later."""
        self._train: list[Journey] = []
        """What entered last, all at one moment, and below when it comes out: one call of the clock for all of it."""
        self._arrival = 0.0

    def enter(self, journey: Journey) -> None:
        """Send a datagram through."""
        now = self._clock.now
        if self._crossing is not None:
            for arrival in self._crossing.arrivals(now):
                # The gateways write on a datagram, so that two need two.
                if arrival > now:
                    self._clock.at(arrival, self._beyond, copy(journey), seen=False)
                else:
                    self._beyond(copy(journey))
        elif not self._delay:
            self._beyond(journey)
        elif now + self._delay == self._arrival:
            self._train.append(journey)
        else:
            self._train = [journey]
            self._arrival = now + self._delay
            self._clock.at(self._arrival, self._come_out, self._train, seen=False)

    def _come_out(self, train: list[Journey]) -> None:
        for journey in train:
            self._beyond(journey)


class Gateway:
    """A gateway at work. ``out`` is where it sends what leaves, ``inside`` takes what is for each inside address."""

    def __init__(self, planned: PlannedGateway, nat: SimulatedNat | None, clock: Clock, complain: Complain) -> None:
        self.nat = nat
        self.out: Handler
        self.inside: dict[str, Handler] = {}
        self._wan = planned.wan
        self._lan = planned.lan
        self._complains = planned.nat.unsolicited is Unsolicited.ACCEPT and planned.nat.traffic.udp
        self._clock = clock
        self._complain = complain

    def take(self, journey: Journey) -> None:
        """Handle a datagram that a machine on its inside sends: to a neighbour, or outward."""
        neighbour = self.inside.get(journey.destination.host)
        if neighbour is not None and self.nat is not None:
            neighbour(journey)
        else:
            self._leave(journey)

    def take_from_within(self, journey: Journey) -> None:
        """Handle a datagram that comes from a gateway behind this one."""
        neighbour = self.inside.get(journey.destination.host)
        if neighbour is not None:
            neighbour(journey)
        else:
            self._leave(journey)

    def _leave(self, journey: Journey) -> None:
        nat = self.nat
        if nat is not None and journey.destination.host == self._wan:
            self._turn(nat, journey)
            return
        if journey.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, self._lan, journey)
            return
        journey.ttl -= 1
        if nat is None:
            self.inside.get(journey.destination.host, self.out)(journey)
            return
        outside = nat.outbound(journey.source, journey.destination, self._clock.now)
        if outside is not None:
            journey.source = outside
            self.out(journey)

    def _turn(self, nat: SimulatedNat, journey: Journey) -> None:
        """Handle a datagram from inside to this gateway's own outside address."""
        ends = nat.hairpin(journey.source, journey.destination, self._clock.now)
        if ends is None:
            self._complain(Trouble.PORT_UNREACHABLE, self._wan, journey)
        elif journey.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, self._lan, journey)
        else:
            journey.source, journey.destination = ends
            journey.ttl -= 1
            self.inside[journey.destination.host](journey)

    def arrive(self, journey: Journey) -> None:
        """Handle a datagram from outside."""
        nat = self.nat
        if nat is not None:
            dying = journey.ttl <= 1
            target = nat.inbound(journey.source, journey.destination, self._clock.now, dying=dying)
            if target is None:
                if self._complains:
                    self._complain(Trouble.PORT_UNREACHABLE, self._wan, journey)
                return
            journey.destination = target
        if journey.ttl <= 1:
            self._complain(Trouble.TTL_EXCEEDED, self._wan, journey)
            return
        neighbour = self.inside.get(journey.destination.host)
        if neighbour is not None:
            journey.ttl -= 1
            neighbour(journey)
