"""Half two: without any key, nothing in a capture tells it from random bytes.

Every test is a bound on how probable its finding is in random bytes, and all of them together raise a false alarm in
less than one capture of a million. Only lengths are judged by a rule, since they are chosen and not drawn. The entropy
of a single datagram is no test: all short strings of random bytes fail it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Final, NamedTuple

from lab.verify.canaries import PIECE, Needles
from lab.verify.chance import BITS_SHARE, BYTES_SHARE, binomial_tail, chi_squared_tails
from lab.verify.columns import search as search_columns
from lab.verify.frames import Udp

VALUES: Final = 256
MIN_BYTES: Final = 10 * VALUES
"""A chi-squared over bytes wants at least ten of each value expected."""

MIN_DATAGRAMS: Final = 16
"""Fewer say nothing about lengths."""

MIN_LENGTHS: Final = 3
MAX_SHARE: Final = 0.95
"""Datagrams have at least so many lengths, of which none makes up more than this."""

MAX_TOLD: Final = 10
"""Findings of one kind that are told; the others are counted."""


class Test(StrEnum):
    """What is looked for."""

    CANARY = "canaries"
    BLOCK = "repeated blocks"
    COLUMN = "bytes at one offset"
    BYTES = "frequency of bytes"
    BITS = "frequency of bits"
    LENGTH = "lengths"


class Finding(NamedTuple):
    """Something that random bytes do not do; the probability bounds how often they do it after all."""

    test: Test
    text: str
    probability: float = 0.0


@dataclass(slots=True)
class Blind:
    """What was found in the payloads of a capture."""

    datagrams: int = 0
    """Different ones."""
    octets: int = 0
    findings: list[Finding] = field(default_factory=list)
    skipped: dict[Test, str] = field(default_factory=dict)
    """Tests that had too little to go by."""
    numbers: dict[Test, str] = field(default_factory=dict)
    """What each test has measured."""


def examine(udp: Sequence[Udp], *, needles: Needles, elsewhere: Iterable[bytes] = (), hidden: Needles) -> Blind:
    """Look for anything that is not random in the payloads of datagrams.

    ``elsewhere`` are payloads that are not up for proof, in which just the ``hidden`` needles must not be found:
    all but the addresses, which they quote for good reasons.
    """
    first: dict[bytes, Udp] = {}
    for packet in udp:
        first.setdefault(packet.payload, packet)
    payloads = list(first)
    result = Blind(len(payloads), sum(map(len, payloads)))
    _canaries(result, payloads, needles, "")
    _canaries(result, list(elsewhere), hidden, " outside of UDP")
    _blocks(result, payloads)
    columns = search_columns(list(first.values()))
    result.numbers[Test.COLUMN] = f"{columns.tests} tests"
    if not columns.tests:
        result.skipped[Test.COLUMN] = "no flow has enough datagrams"
    result.findings += [Finding(Test.COLUMN, text, probability) for text, probability in columns.found]
    _frequencies(result, payloads)
    _lengths(result, payloads)
    return result


def _canaries(result: Blind, payloads: Sequence[bytes], needles: Needles, where: str) -> None:
    told = result.numbers.get(Test.CANARY, "")
    result.numbers[Test.CANARY] = told or f"{len(needles.short) + len(needles.pieces)} forms"
    for hit in needles.count_short(b"".join(payloads)):
        text = f"{hit.needle.what} as {hit.needle.form}, {hit.times} times{where}"
        result.findings.append(Finding(Test.CANARY, text, hit.probability))
    found: Counter[str] = Counter()
    if needles.pieces:
        for payload in payloads:
            windows = {payload[at : at + PIECE] for at in range(len(payload) - PIECE + 1)}
            met = {needles.pieces[window] for window in windows & needles.pieces.keys()}
            found.update(f"{needle.what} as {needle.form}{where}" for needle in met)
    for text, times in found.items():
        result.findings.append(Finding(Test.CANARY, f"{text}, in {times} datagrams"))


def _blocks(result: Blind, payloads: Sequence[bytes]) -> None:
    """Find blocks that are there twice, one of the two at a multiple of their size."""
    aligned: set[bytes] = set()
    repeated: set[bytes] = set()
    for payload in payloads:
        for at in range(0, len(payload) - PIECE + 1, PIECE):
            block = payload[at : at + PIECE]
            (repeated if block in aligned else aligned).add(block)
    for payload in payloads:
        last = len(payload) - PIECE
        repeated |= aligned & {payload[at : at + PIECE] for at in range(1, last + 1) if at % PIECE}
    result.numbers[Test.BLOCK] = f"{len(aligned)} blocks"
    told = sorted(repeated)
    result.findings += [Finding(Test.BLOCK, f"{block.hex()} is there more than once") for block in told[:MAX_TOLD]]
    if len(told) > MAX_TOLD:
        result.findings.append(Finding(Test.BLOCK, f"and {len(told) - MAX_TOLD} more"))


def _frequencies(result: Blind, payloads: Sequence[bytes]) -> None:
    total = result.octets
    if total < MIN_BYTES:
        short = f"{total} bytes are too few; it takes {MIN_BYTES}"
        result.skipped |= {Test.BYTES: short, Test.BITS: short}
        return
    counts = Counter(chain.from_iterable(payloads))
    expected = total / VALUES
    statistic = math.fsum((counts[value] - expected) ** 2 for value in range(VALUES)) / expected
    probability = chi_squared_tails(statistic, VALUES - 1)
    result.numbers[Test.BYTES] = f"chi-squared {statistic:.1f} at {VALUES - 1} degrees of freedom"
    if probability < BYTES_SHARE:
        result.findings.append(Finding(Test.BYTES, result.numbers[Test.BYTES], probability))
    ones = sum(value.bit_count() * times for value, times in counts.items())
    bits = 8 * total
    probability = 2 * binomial_tail(bits, max(ones, bits - ones), 0.5)
    result.numbers[Test.BITS] = f"{ones} of {bits} are set ({100 * ones / bits:.3f} %)"
    if probability < BITS_SHARE:
        result.findings.append(Finding(Test.BITS, result.numbers[Test.BITS], probability))


def _lengths(result: Blind, payloads: Sequence[bytes]) -> None:
    if len(payloads) < MIN_DATAGRAMS:
        result.skipped[Test.LENGTH] = f"{len(payloads)} datagrams are too few; it takes {MIN_DATAGRAMS}"
        return
    lengths = Counter(map(len, payloads))
    (length, times), share = lengths.most_common(1)[0], max(lengths.values()) / len(payloads)
    result.numbers[Test.LENGTH] = f"{len(lengths)} lengths; {length} bytes the most common, {100 * share:.0f} %"
    if len(lengths) < MIN_LENGTHS or share > MAX_SHARE:
        text = f"{times} of {len(payloads)} datagrams have {length} bytes, and there are {len(lengths)} lengths"
        result.findings.append(Finding(Test.LENGTH, text))
