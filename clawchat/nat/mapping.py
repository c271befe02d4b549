"""How a NAT chooses the public port of a flow, judged by what several servers saw of us.

A NAT that gives every destination the same public port can be told to a peer; one that counts on can be foreseen;
one that rolls dice can only be guessed at. The class orders what is tried, it never forbids anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from statistics import median
from typing import Final, NamedTuple

from clawchat.values.address import MAX_PORT, Address

MAX_GAP: Final = 128
"""Two ports further apart than this were not counted: by chance one pair in 250 is nearer."""

WRAP_DELTAS: Final = 3
"""One jump back among so many steps is a counter that began anew; with fewer it says nothing."""

LONG_STRIDE: Final = 32
"""Mappings of ours follow each other in no time, so that most steps of a counter are short, however busy it is. Ports
out of a small block rise by chance now and then, but by more."""

SHORTEST_SPAN: Final = 0.05
"""Seconds below which a rate of foreign mappings can't be told; also keeps a burst from looking like a flood."""

WINDOW: Final = 16
"""Ports foreseen beyond the last one even if nobody else uses the NAT."""

DRIFT_MARGIN: Final = 4
"""How much more than the measured drift is allowed for: others come in bursts."""

MAX_WINDOW: Final = 256
FIRST_DYNAMIC_PORT: Final = 1024
"""Where counting NATs begin anew after the last port; lower ones they keep for flows from low ports."""


class Dependence(Enum):
    """What a mapping, or a filter, looks at besides our own end (RFC 4787 sections 4.1 and 5)."""

    UNKNOWN = "unknown"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address-and-port-dependent"


class Allocation(Enum):
    """How the public port is chosen."""

    UNKNOWN = "unknown"
    PRESERVING = "preserving"
    """It is our local port."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    """It is another one, the same for every destination."""

    SEQUENTIAL = "sequential"
    """It is another one for each destination, a fixed step from the one before."""

    RANDOM = "random"


class Observation(NamedTuple):
    """What one server saw of us; ``at`` is when our first datagram to it left, in monotonic seconds."""

    local_port: int
    server: Address
    observed: Address
    at: float


@dataclass(frozen=True, slots=True)
class Mapping:
    """What the observations say of a NAT."""

    allocation: Allocation
    dependence: Dependence
    step: int
    """Ports from one mapping to the next, 0 unless sequential; negative where the NAT counts down."""

    drift: float
    """Mappings that others make, each second; 0 unless sequential."""

    lowest: int
    highest: int
    """The range of public ports seen."""

    public_hosts: tuple[str, ...]
    """The public addresses seen, the newest first; several mean that a flow may leave from any."""

    last: Address
    """The public address of the newest mapping."""

    last_at: float


def classify(observations: Iterable[Observation]) -> Mapping | None:
    """Judge a NAT by observations of one IP version, in the order in which their first datagrams left.

    None without observations. Repeated observations change nothing.
    """
    seen = list(observations)
    if not seen:
        return None
    made = _mappings(seen)
    ports = [each.observed.port for each in made]
    allocation, step, drift = _allocation(seen, made)
    newest = made[-1]
    return Mapping(
        allocation=allocation,
        dependence=_dependence(seen),
        step=step,
        drift=drift,
        lowest=min(ports),
        highest=max(ports),
        public_hosts=tuple(dict.fromkeys(each.observed.host for each in reversed(seen))),
        last=newest.observed,
        last_at=newest.at,
    )


def predicted(mapping: Mapping, local_port: int, *, now: float) -> list[Address]:
    """Return where our next mapping, from ``local_port`` to a new destination, may show up; likely ones first.

    At most ``MAX_WINDOW`` ports of a counting NAT, and our local port at every public address always.
    """
    found = [Address(host, local_port) for host in mapping.public_hosts]
    if mapping.allocation is Allocation.ENDPOINT_INDEPENDENT:
        found.insert(0, mapping.last)
    elif mapping.allocation is Allocation.SEQUENTIAL:
        age = max(0.0, now - mapping.last_at)
        window = min(MAX_WINDOW, WINDOW + math.ceil(DRIFT_MARGIN * mapping.drift * age))
        ports = (_around(mapping.last.port + mapping.step * count) for count in range(1, window + 1))
        found[:0] = [Address(mapping.last.host, port) for port in ports]
    return list(dict.fromkeys(found))


def _mappings(seen: Sequence[Observation]) -> list[Observation]:
    """Keep the observations that show a mapping nobody has shown before."""
    made: dict[tuple[int, Address], Observation] = {}
    for each in seen:
        made.setdefault((each.local_port, each.observed), each)
    return list(made.values())


def _allocation(seen: Sequence[Observation], made: Sequence[Observation]) -> tuple[Allocation, int, float]:
    if all(each.observed.port == each.local_port for each in seen):
        return Allocation.PRESERVING, 0, 0.0
    if _widest(seen, lambda each: each.server) < 2:  # noqa: PLR2004 - two destinations to compare
        return Allocation.UNKNOWN, 0, 0.0
    if not _differ(seen, lambda each: each.local_port):
        return Allocation.ENDPOINT_INDEPENDENT, 0, 0.0
    step = _step([each.observed.port for each in made])
    return (Allocation.SEQUENTIAL, step, _drift(made, step)) if step else (Allocation.RANDOM, 0, 0.0)


def _dependence(seen: Sequence[Observation]) -> Dependence:
    """Tell what a mapping depends on, by the local port of which the most destinations are known."""
    if _widest(seen, lambda each: each.server) < 2:  # noqa: PLR2004 - two destinations to compare
        return Dependence.UNKNOWN
    if not _differ(seen, lambda each: each.local_port):
        return Dependence.ENDPOINT_INDEPENDENT
    if _differ(seen, lambda each: (each.local_port, each.server.host)):
        return Dependence.ADDRESS_AND_PORT_DEPENDENT
    # every address has a mapping of its own; whether every port of it would have one can't be told without two
    told = _widest(seen, lambda each: each.server) > _widest(seen, lambda each: each.server.host)
    return Dependence.ADDRESS_DEPENDENT if told else Dependence.UNKNOWN


def _widest(seen: Sequence[Observation], key: Callable[[Observation], object]) -> int:
    """Return from how many different places one local port was seen, at most."""
    places: dict[int, set[object]] = {}
    for each in seen:
        places.setdefault(each.local_port, set()).add(key(each))
    return max(map(len, places.values()))


def _differ(seen: Sequence[Observation], key: Callable[[Observation], object]) -> bool:
    """Tell whether observations that share a key were of different ports."""
    groups: dict[object, set[int]] = {}
    for each in seen:
        groups.setdefault(key(each), set()).add(each.observed.port)
    return any(len(ports) > 1 for ports in groups.values())


def _step(ports: Sequence[int]) -> int:
    """Return the step of a counter that gave these ports, 0 if none did.

    Two ports can't tell a step from mappings of others in between: then it is 1, or 2 where that keeps the parity,
    as NATs do for the sake of RTP (RFC 4787 section 4.2.2).
    """
    deltas = [after - before for before, after in pairwise(ports)]
    up = sum(delta > 0 for delta in deltas) * 2 > len(deltas)
    steps = [delta for delta in deltas if 0 < (delta if up else -delta) <= MAX_GAP]
    strays = len(deltas) - len(steps)
    if not steps or strays > (len(deltas) >= WRAP_DELTAS):
        return 0
    if len(steps) >= WRAP_DELTAS and median(map(abs, steps)) > LONG_STRIDE:
        return 0
    size = math.gcd(*steps)
    if len(steps) == 1:
        size = min(size, 1 if size % 2 else 2)
    return size if up else -size


def _drift(made: Sequence[Observation], step: int) -> float:
    """Return how many mappings others made in a second, between the first of ours and the last."""
    foreign = sum(
        abs(delta) // abs(step) - 1
        for delta in (after.observed.port - before.observed.port for before, after in pairwise(made))
        if abs(delta) <= MAX_GAP
    )
    return foreign / max(made[-1].at - made[0].at, SHORTEST_SPAN)


def _around(port: int) -> int:
    """Bring a foreseen port back into the range of dynamic ports."""
    span = MAX_PORT + 1 - FIRST_DYNAMIC_PORT
    return (port - FIRST_DYNAMIC_PORT) % span + FIRST_DYNAMIC_PORT
