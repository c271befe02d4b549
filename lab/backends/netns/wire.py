"""A program that is a cable: it carries packets between TUN devices, each at its time.

It reads one line of JSON that says the wires, answers `ready`, and ends when its standard input does. A TUN device
hands over whole IP packets, so the wire is no hop: no TTL changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import json
import os
import select
import struct
import sys
import time
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, Final, Self

from lab.model.link import Crossing, Link
from lab.netns import Namespace

TUNSETIFF: Final = 0x400454CA
IFF_TUN: Final = 0x0001
IFF_NO_PI: Final = 0x1000
"""From linux/if_tun.h: whole IP packets without a header before them."""

MAX_PACKET: Final = 65_535
"""Bytes; no IP packet is larger."""

BURST: Final = 64
"""Packets taken from one device before the others and the clock get their turn."""


@dataclass(frozen=True, slots=True)
class WireEnd:
    """Where an end of a wire comes out."""

    namespace: str
    device: str


@dataclass(frozen=True, slots=True)
class Wire:
    """Two ends, and what happens between them."""

    near: WireEnd
    far: WireEnd
    link: Link

    def as_json(self) -> dict[str, Any]:
        """Return the wire as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Return the wire that as_json said."""
        return cls(WireEnd(**value["near"]), WireEnd(**value["far"]), Link(**value["link"]))


def open_tun(end: WireEnd) -> int:
    """Make a TUN device inside a namespace; it exists as long as the descriptor."""
    with Namespace(end.namespace).entered():
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", end.device.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


class Carrier:
    """All wires of one process."""

    def __init__(self, wires: list[Wire], seed: int) -> None:
        self._ways: dict[int, tuple[int, Crossing]] = {}
        """By the descriptor where packets enter: where they come out, and how they cross."""
        for number, wire in enumerate(wires):
            near, far = open_tun(wire.near), open_tun(wire.far)
            # Each direction has chances of its own, so that traffic one way does not change the other.
            self._ways[near] = far, Crossing(wire.link, Random(f"{seed}:{number}:out"))
            self._ways[far] = near, Crossing(wire.link, Random(f"{seed}:{number}:in"))
        self._under_way: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()

    def run(self, until: int) -> None:
        """Carry packets until this descriptor has something to read."""
        inputs = [until, *self._ways]
        while True:
            wait = max(self._under_way[0][0] - time.monotonic(), 0) if self._under_way else None
            # Unlike epoll, select waits in microseconds.
            readable, _, _ = select.select(inputs, [], [], wait)
            if until in readable:
                return
            for descriptor in readable:
                self._take(descriptor)
            self._deliver()

    def _take(self, descriptor: int) -> None:
        far, crossing = self._ways[descriptor]
        now = time.monotonic()
        for _ in range(BURST):
            try:
                packet = os.read(descriptor, MAX_PACKET)
            except BlockingIOError:
                return
            for arrival in crossing.arrivals(now):
                heapq.heappush(self._under_way, (arrival, next(self._order), far, packet))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._under_way and self._under_way[0][0] <= now:
            _, _, far, packet = heapq.heappop(self._under_way)
            # A device that is down or full loses the packet, as a cable does.
            with contextlib.suppress(OSError):
                os.write(far, packet)


def main() -> None:
    """Be the wires that the first line of standard input says."""
    said = json.loads(sys.stdin.readline())
    carrier = Carrier([Wire.from_json(one) for one in said["wires"]], said["seed"])
    print("ready", flush=True)
    carrier.run(sys.stdin.fileno())


if __name__ == "__main__":
    main()
