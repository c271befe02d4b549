"""Which verdict each ordered pair of NATs has to get, by what they do; every backend is held to this one rule.

What counts is whether the port at which the other end will be met can be known before it is met:

    known    every gateway shows all peers the same port, or lets everybody in at the one that a relay saw
    counted  some gateway gives each peer another port, and all of these count
    hidden   some gateway gives each peer another port that nobody can foresee

One known end is enough: the other one's packets come to it, or its port is guessed by sending to many. Two that
count foresee each other. Otherwise no direct path is to be had, and where datagrams do not leave at all, a WebSocket
brings them to the relay.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final

from lab.model.nat import Assignment, Dependence, Nat
from lab.model.presets import HTTPS, preset

CONES: Final = ("open", "full-cone", "address-restricted")
"""What lets in a peer that it was punched for, whatever port the peer comes from."""

SYMMETRIC: Final = ("symmetric-sequential", "symmetric-random")
BLOCKED: Final = "udp-blocked"
NAMES: Final = (*CONES, "port-restricted", *SYMMETRIC, BLOCKED)
"""The NATs of the main table, each as a client's and as a server's."""

SECOND: Final = ("poisonable-home", "cgnat", "double", "udp-blocked-443")
"""The NATs of the second table, against each other and against those of the main one."""

NO_UDP: Final = "a network drops UDP, so a relay is reached by WebSocket"
NO_WAY: Final = "a network drops UDP, and TCP to the relay's port as well"
BOTH_CHANGE: Final = "both NATs choose ports that can't be foreseen"


class Verdict(StrEnum):
    """How a session got through."""

    DIRECT = "direct"
    RELAY = "relay"
    FAIL = "fail"


class Table(StrEnum):
    """Which pairs are tried."""

    MAIN = "main"
    SECOND = "second"
    ALL = "all"


class Foresight(StrEnum):
    """How well the port is known at which an end will be met."""

    KNOWN = "known"
    COUNTED = "counted"
    HIDDEN = "hidden"


Pair = tuple[str, str]
"""The client's preset and the server's."""


def table(which: Table) -> tuple[Pair, ...]:
    """Return the pairs of a table, row by row."""
    names = NAMES if which is Table.MAIN else (*NAMES, *SECOND)
    return tuple(
        (client, server)
        for client in names
        for server in names
        if which is not Table.SECOND or {client, server} & set(SECOND)
    )


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """Return these presets, each once. Raises ValueError that names the nearest one."""
    return tuple(dict.fromkeys(preset(name).name for name in names))


def foresight(layers: Sequence[Nat]) -> Foresight:
    """Say how well the port is known at which a peer behind these NATs will be met."""
    changing = [nat for nat in layers if nat.mapping is not Dependence.ENDPOINT_INDEPENDENT]
    if not changing or all(nat.filtering is Dependence.ENDPOINT_INDEPENDENT for nat in layers):
        return Foresight.KNOWN
    # A port that is preserved is the inside one, whoever is sent to.
    kinds = {nat.allocation.assignment for nat in changing} - {Assignment.PRESERVE}
    if not kinds:
        return Foresight.KNOWN
    return Foresight.COUNTED if kinds == {Assignment.SEQUENTIAL} else Foresight.HIDDEN


def passes_udp(layers: Sequence[Nat]) -> bool:
    """Tell whether datagrams leave at all."""
    return all(nat.traffic.udp for nat in layers)


def passes_web(layers: Sequence[Nat]) -> bool:
    """Tell whether a TCP connection to the port of the web leaves, where relays listen."""
    return all(nat.traffic.tcp(HTTPS) for nat in layers)


def closed(layers: Sequence[Nat]) -> bool:
    """Tell whether some gateway lets in only the very port that was sent to."""
    return any(nat.filtering is Dependence.ADDRESS_AND_PORT_DEPENDENT for nat in layers if nat.translates)


def expected(client: str, server: str) -> Verdict:
    """Return the best that can be had; a better verdict is as suspicious as a worse one."""
    ends = preset(client).layers, preset(server).layers
    if not all(map(passes_udp, ends)):
        return Verdict.RELAY if all(passes_udp(end) or passes_web(end) for end in ends) else Verdict.FAIL
    one, other = map(foresight, ends)
    if Foresight.KNOWN in {one, other} or one is other is Foresight.COUNTED:
        return Verdict.DIRECT
    return Verdict.RELAY


def guessed(client: str, server: str) -> bool:
    """Tell whether a direct path takes a guess at a port: an end that changes it meets one that wants the very port."""
    ends = preset(client).layers, preset(server).layers
    return expected(client, server) is Verdict.DIRECT and any(
        foresight(one) is not Foresight.KNOWN and closed(other) for one, other in (ends, reversed(ends))
    )


def guesses(client: str, server: str) -> bool:
    """Tell whether a direct path takes the server to send by many ports, or to many.

    It does where a port that changes meets a filter that wants the very port; only a server that counts may leave
    all of it to a client whose port is known.
    """
    ours, theirs = preset(server).layers, preset(client).layers
    if expected(client, server) is not Verdict.DIRECT:
        return False
    met = foresight(theirs)
    return (met is not Foresight.KNOWN and closed(ours)) or (foresight(ours) is Foresight.HIDDEN and closed(theirs))


def because(client: str, server: str) -> str:
    """Say why no direct path is expected; empty where one is."""
    relayed = BOTH_CHANGE if passes_udp(preset(client).layers) and passes_udp(preset(server).layers) else NO_UDP
    return {Verdict.DIRECT: "", Verdict.RELAY: relayed, Verdict.FAIL: NO_WAY}[expected(client, server)]
