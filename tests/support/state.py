"""Everything an object remembers, as one plain value: what must not change is compared before and after."""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Mapping
from enum import Enum
from itertools import count
from typing import Final

from clawchat.wire.packet import BatchOpener, BatchSealer

_PLAIN: Final = (int, float, str, bytes, type(None), Enum)
_SCRATCH: Final = (BatchOpener, BatchSealer, Counter, memoryview, array)
"""Buffers that only live within one call, and the counters of drops, which are meant to count."""


def state_of(thing: object) -> object:
    """Describe all that can be reached from an object, down to the last number."""
    return _describe(thing, {}, [])


def _describe(thing: object, seen: dict[int, int], kept: list[object]) -> object:  # noqa: PLR0911 - a row a kind
    if isinstance(thing, _PLAIN):
        return thing
    if isinstance(thing, count):
        return repr(thing)
    if id(thing) in seen:
        return ("again", seen[id(thing)])
    seen[id(thing)] = len(seen)
    kept.append(thing)  # so that no id is used twice
    if isinstance(thing, bytearray):
        return bytes(thing)
    if isinstance(thing, _SCRATCH) or callable(thing):
        return type(thing).__name__
    if isinstance(thing, Mapping):
        return [(_describe(key, seen, kept), _describe(value, seen, kept)) for key, value in thing.items()]
    if isinstance(thing, set | frozenset):
        return sorted(repr(_describe(item, seen, kept)) for item in thing)
    if isinstance(thing, list | tuple | deque):
        return [_describe(item, seen, kept) for item in thing]
    fields = {name: getattr(thing, name) for name in _names(type(thing)) if hasattr(thing, name)}
    fields |= getattr(thing, "__dict__", {})
    return type(thing).__name__, [(name, _describe(value, seen, kept)) for name, value in fields.items()]


def _names(kind: type) -> list[str]:
    return [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
