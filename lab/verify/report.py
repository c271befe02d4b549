"""How a verdict is told: a few lines for eyes, plain values for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.verify.blind import Test
from lab.verify.opening import Failure
from lab.verify.proof import Outcome, Proof

SCHEMA: Final = 1
"""Version of the JSON document: raised when a key changes its meaning or goes away."""

MAX_TOLD: Final = 8
"""Failures that are told one by one."""

HEAD_BYTES: Final = 16
NANO: Final = 1e9


def summary(proof: Proof) -> str:
    """Return the verdict in one line."""
    told = f"{proof.proven} of {proof.datagrams} datagrams are ciphertext"
    if proof.outcome is Outcome.PROVEN:
        return f"{proof.outcome}: {told}"
    return f"{proof.outcome}: {told}: {'; '.join(proof.reasons)}"


def lines(proof: Proof) -> Iterator[str]:
    """Return the report."""
    points = len(proof.capture.points)
    yield f"datagrams      {proof.datagrams} different ones, {proof.seen} times at {points} capture points"
    if proof.capture.messages:
        yield f"  by WebSocket {len(proof.capture.messages)} of these times"
    if proof.opening is not None:
        opening = proof.opening
        yield f"with the keys  {_counts(opening.kinds)}; {len(opening.ids)} directions of sessions"
        carried = len(opening.carried) + opening.carried_closed
        yield f"  frames       {_counts(opening.frames)}"
        yield f"  carried      {len(opening.carried)} of {carried} that went through a relay"
        for failure in proof.failures[:MAX_TOLD]:
            yield f"  against it   {failure.reason}: {_place(failure)}"
        if len(proof.failures) > MAX_TOLD:
            yield f"  against it   and {len(proof.failures) - MAX_TOLD} more"
    yield f"blind          {len(proof.blind.findings)} findings in {proof.blind.octets} bytes"
    for test in Test:
        skipped = proof.blind.skipped.get(test)
        yield f"  {test}: {f'skipped, {skipped}' if skipped else proof.blind.numbers.get(test, '')}"
        for finding in [one for one in proof.blind.findings if one.test is test][:MAX_TOLD]:
            yield f"    against it: {finding.text}"
    if proof.services:
        yield f"other UDP      {_counts({str(kind): times for kind, times in proof.services.items()})}"
    if proof.capture.others:
        yield f"no UDP         {_counts({str(kind): times for kind, times in proof.capture.others.items()})}"


def as_json(proof: Proof) -> dict[str, Any]:
    """Return the report as plain values."""
    opening, blind, capture = proof.opening, proof.blind, proof.capture
    return {
        "schema": SCHEMA,
        "report": "verify",
        "outcome": str(proof.outcome),
        "reasons": list(proof.reasons),
        "strict": proof.strict,
        "proven": proof.proven,
        "datagrams": proof.datagrams,
        "seen": proof.seen,
        "points": sorted(capture.points),
        "with_keys": None
        if opening is None
        else {
            "kinds": dict(opening.kinds),
            "frames": dict(opening.frames),
            "directions": len(opening.ids),
            "carried_opened": len(opening.carried),
            "carried_closed": opening.carried_closed,
            "failures": [_failure(failure) for failure in proof.failures],
        },
        "blind": {
            "octets": blind.octets,
            "tests": {
                str(test): {"measured": blind.numbers.get(test, ""), "skipped": blind.skipped.get(test)}
                for test in Test
            },
            "findings": [
                {"test": str(one.test), "text": one.text, "probability": one.probability} for one in blind.findings
            ],
        },
        "services": {str(kind): times for kind, times in proof.services.items()},
        "by_websocket": len(capture.messages),
        "others": {str(kind): times for kind, times in capture.others.items()},
        "lost": capture.lost,
        "cut": capture.cut,
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{times} {name}" for name, times in sorted(counts.items(), key=lambda one: -one[1])) or "nothing"


def _place(failure: Failure) -> str:
    where = failure.where
    size = f"{len(failure.payload)} bytes"
    detail = f" ({failure.detail})" if failure.detail else ""
    if where is None:
        return f"{size}, carried by a relay{detail}"
    way = f"{where.source[0]}:{where.source[1]} to {where.destination[0]}:{where.destination[1]}"
    return f"{size} from {way} at {where.point}{detail}"


def _failure(failure: Failure) -> dict[str, Any]:
    where = failure.where
    return {
        "reason": str(failure.reason),
        "detail": failure.detail,
        "length": len(failure.payload),
        "head": failure.payload[:HEAD_BYTES].hex(),
        "point": where.point if where else None,
        "time": where.at / NANO if where else None,
        "source": list(where.source) if where else None,
        "destination": list(where.destination) if where else None,
    }
