"""Which of our ports try which of the peer's addresses, and in what order."""

from __future__ import annotations

from collections.abc import Iterable

from clawchat.nat.punch import Lane
from clawchat.nat.punch_memory import Pair
from clawchat.nat.scope import is_public
from clawchat.session.scouting import Scout
from clawchat.values.address import Address, Path
from clawchat.values.habit import Ports
from clawchat.wire.frames import Candidates


def pair(scout: Scout, peer: Candidates) -> Pair:
    """Name the two networks by the addresses that others see of them."""
    host = peer.nat.base.host if peer.nat.base else next((each.host for each in peer.addresses), "")
    return Pair(scout.public_host(), host)


def lanes(scout: Scout, peer: Candidates, *, now: float) -> list[Lane]:
    """List our ports with the addresses of the peer that belong to them, those to try first first."""
    elsewhere = _elsewhere(scout, peer.addresses)
    once = scout.ways(elsewhere)
    main = scout.ways(each for each in peer.addresses if each not in elsewhere)
    if not main:
        return []
    if Ports.BLOCKED in {scout.habit(now=now).ports, peer.nat.ports}:
        return [Lane(main, main, once)]  # worth a try now and then, but no other port
    spares = scout.spares()
    if scout.habit(now=now).ports.symmetric:
        # a probe from the port the peer will look for would spoil it at a gateway that takes what nobody asked for
        fresh = scout.ways((path.remote for path in main), spares[:1])
        return [Lane(main, fresh or main, once)]
    found = [Lane(main, main, once)]
    if not peer.nat.ports.symmetric:
        ways = [(Path(handle, to),) for handle, to in zip(spares, peer.spares, strict=False)]
        found += [Lane(way, way) for way in ways]
    return found


def early(scout: Scout, ways: Iterable[Path], *, now: float) -> Path | None:
    """Return the path from the last spare port to where the first of these leads, None where a port of ours is known.

    The first spare port is not used for it, since it has to be unspoilt when both ends are ready.
    """
    spares = scout.spares()[1:]
    if not spares or not scout.habit(now=now).ports.symmetric:
        return None
    return next(iter(scout.ways((path.remote for path in ways), spares)), None)


def _elsewhere(scout: Scout, addresses: tuple[Address, ...]) -> frozenset[Address]:
    """Return the inside addresses of a peer that has another public address than we: a network of its own.

    Some tunnel may lead there all the same, so they are worth a try, but no more.
    """
    public = {each.host for each in addresses if is_public(each.host)}
    if not public or scout.public_host() in {"", *public}:
        return frozenset()
    return frozenset(each for each in addresses if not is_public(each.host))


def reached_alike(before: Iterable[Address], now: Iterable[Address], ports: Ports) -> bool:
    """Tell whether a peer's NAT that was opened for these addresses of ours is open for those as well.

    Where every destination sees another port it can be opened for our host alone.
    """
    if ports.symmetric:
        return {each.host for each in before} == {each.host for each in now}
    return set(before) == set(now)
