"""Opened datagrams as plain values, one for each line of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any

from clawchat.values.address import Address
from clawchat.wire.dissect import Dissection
from clawchat.wire.frames import Forward, Frame
from clawchat.wire.handshake import Hello, Welcome
from lab.verify.frames import Udp
from lab.verify.opening import Opening
from lab.verify.report import NANO


def lines(opening: Opening) -> Iterator[dict[str, Any]]:
    """Return each datagram once, in the order of time; what a relay carried stands inside of what carried it."""
    carried = {one.payload: one.dissection for one in opening.carried}
    found = [
        (one.where.at, {**_place(one.where), **told(one.dissection, carried)}) for one in opening.opened if one.where
    ]
    found += [(where.at, {**_place(where), "kind": None, "length": len(where.payload)}) for where in opening.closed]
    yield from (line for _, line in sorted(found, key=lambda one: one[0]))


def told(dissection: Dissection, carried: dict[bytes, Dissection]) -> dict[str, Any]:
    """Return what a datagram says."""
    head: dict[str, Any] = {"kind": dissection.kind.value, "to": dissection.name.hex()}
    if isinstance(dissection.contents, Hello | Welcome):
        return {**head, "says": _fields(dissection.contents)}
    frames = [_frame(frame, carried) for frame in dissection.contents]
    return {**head, "epoch": dissection.epoch, "packet_number": dissection.packet_number, "frames": frames}


def _place(where: Udp) -> dict[str, Any]:
    ends = (f"{address}:{port}" if ":" not in address else f"[{address}]:{port}" for address, port in where[2:4])
    return {"time": where.at / NANO, "point": where.point, **dict(zip(("source", "destination"), ends, strict=True))}


def _frame(frame: Frame, carried: dict[bytes, Dissection]) -> dict[str, Any]:
    fields = {"frame": type(frame).__name__, **_fields(frame)}
    if isinstance(frame, Forward):
        inside = carried.get(frame.data)
        fields["data"] = told(inside, carried) if inside is not None else frame.data.hex()
    return fields


def _fields(value: Any) -> dict[str, Any]:  # noqa: ANN401 - any of the named tuples of the wire
    return {name: _plain(field) for name, field in value._asdict().items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a field holds
    match value:
        case Enum():
            return value.name
        case Address():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
        case tuple() if hasattr(value, "_asdict"):
            return _fields(value)
        case tuple():
            return [_plain(one) for one in value]
        case _:
            return value
