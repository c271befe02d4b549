"""Bytes at one offset, over many datagrams: constant, from a small set, with a constant bit, or counting.

Looked at are all datagrams of a capture together, the first ones of all flows, and each flow by itself; offsets from
the beginning and from the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from lab.verify.chance import COLUMN_SHARE, binomial_tail
from lab.verify.frames import Place, Udp

HEAD: Final = 64
TAIL: Final = 32
"""Bytes from the beginning, and from the end, that are looked at."""

MIN_COLUMN: Final = 6
"""Fewer bytes can't be told from chance: six equal ones are one case in 2^40."""

VALUES: Final = 256
BITS: Final = 8
_TESTS_OF_A_COLUMN: Final = VALUES + VALUES + 2 * BITS
"""Each value may be too frequent, each difference, and each bit may be set or clear too often."""

Flow = tuple[Place, Place]


@dataclass(slots=True)
class Columns:
    """What was found, and out of how many tests."""

    tests: int = 0
    found: list[tuple[str, float]] = field(default_factory=list)


def search(udp: Sequence[Udp]) -> Columns:
    """Search different datagrams, in the order of time."""
    flows: defaultdict[Flow, list[bytes]] = defaultdict(list)
    for packet in udp:
        flows[packet.source, packet.destination].append(packet.payload)
    groups = {
        "all datagrams": [packet.payload for packet in udp],
        "the first of each flow": [f[0] for f in flows.values()],
    }
    for (source, destination), payloads in flows.items():
        groups[f"{source[0]}:{source[1]} to {destination[0]}:{destination[1]}"] = payloads
    columns = [
        (f"{name}, {where}", column)
        for name, payloads in groups.items()
        if len(payloads) >= MIN_COLUMN
        for where, column in _columns(payloads)
    ]
    tests = len(columns) * _TESTS_OF_A_COLUMN
    result = Columns(tests)
    for where, column in columns:
        for what, probability in _judge(column):
            if probability * tests < COLUMN_SHARE:
                result.found.append((f"{what}: {where}", probability))
    return result


def _columns(payloads: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    for at in range(HEAD):
        column = bytes([payload[at] for payload in payloads if len(payload) > at])
        if len(column) >= MIN_COLUMN:
            yield f"offset {at}", column
    for at in range(1, TAIL + 1):
        column = bytes([payload[-at] for payload in payloads if len(payload) >= at])
        if len(column) >= MIN_COLUMN:
            yield f"{at} from the end", column


def _judge(column: bytes) -> Iterator[tuple[str, float]]:
    """Return what is most conspicuous of each kind, with the bound for just this one case."""
    counts = Counter(column)
    value, times = counts.most_common(1)[0]
    yield f"{value:02x} in {times} of {len(column)}", binomial_tail(len(column), times, 1 / VALUES)
    steps = Counter([(later - earlier) % VALUES for earlier, later in pairwise(column)])
    step, times = steps.most_common(1)[0]
    if step:  # a step of zero is a constant, which was told already
        yield f"counts by {step} in {times} of {len(column) - 1}", binomial_tail(len(column) - 1, times, 1 / VALUES)
    for bit in range(BITS):
        ones = sum(times for value, times in counts.items() if value >> bit & 1)
        most = max(ones, len(column) - ones)
        yield f"bit {bit} equal in {most} of {len(column)}", binomial_tail(len(column), most, 0.5)
