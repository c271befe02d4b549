"""Feeding an end what it must not take: nothing may change in it, and nothing may come out."""

from __future__ import annotations

from clawchat.values.address import Address
from tests.support.pair import End, Pair
from tests.support.state import state_of

STRANGER = Address("203.0.113.77", 7777)


class MovedError(AssertionError):
    """Say that a datagram that must be ignored was not."""


def ignores(pair: Pair, end: End, data: bytes, *, size: int = 0, source: Address = STRANGER) -> None:
    """Feed an end datagrams of ``size`` bytes; raise MovedError if that did anything but count them as drops.

    The end must have nothing to say when this is called.
    """
    endpoint = end.endpoint
    before, due = state_of(endpoint), endpoint.next_timeout()
    dropped = sum(endpoint.drops.values())
    pair.inject(end, data, source, size=size)
    if list(endpoint.events()):
        raise MovedError("its program was told")
    if endpoint.transmits(now=pair.now):
        raise MovedError("it answered")
    if endpoint.next_timeout() != due:
        raise MovedError("it waits for something else now")
    if state_of(endpoint) != before:
        raise MovedError("it remembers")
    count = max(1, -(-len(data) // size)) if size else 1
    if sum(endpoint.drops.values()) != dropped + count:
        raise MovedError("it did not count")
