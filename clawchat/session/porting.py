"""Another port for a whole endpoint: opened, announced to every peer, taken into use, and the old one closed later.

Make before break: the old port hears for a grace of at least half a minute, and for as long as anybody holds a
credential that names it or a session could not leave it. Where nobody follows to the new port, it is the new one that
is closed, and the move is tried again later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from clawchat.session.attempts import Attempts
from clawchat.session.config import EndpointConfig
from clawchat.session.links import Links
from clawchat.session.port_rotation import Retired, Rotation, Stage, Turn
from clawchat.session.rekeying import Phase
from clawchat.session.scouting import FIRST_HANDLE, Scout
from clawchat.session.session import Session
from clawchat.session.state import State
from clawchat.values.address import Address
from clawchat.values.events import Event, PortClosed, PortKept, PortMoved, PortReady, Role
from clawchat.values.limits import JITTER, MAX_OBSERVED_CANDIDATES
from clawchat.values.limits_rotation import (
    FIRST_RANDOM_PORT,
    HOP_LOOK,
    HOP_TIMEOUT,
    MAPPING_SHARE,
    MAX_ROTATION_GAP,
    PORT_RETRY,
    PORT_TRIES,
    PREPARE_TIMEOUT,
    RANDOM_PORTS,
    SHORTEST_ROTATION,
)
from clawchat.values.timers import NEVER

_UNIT: Final = 1 << 16
_LISTEN: Final = 0.3
"""How long relays have to say what they see of a new port, seconds."""


class _Endpoint(Protocol):
    """What this part uses of the others."""

    _attempts: Attempts
    _links: Links
    _rotation: Rotation
    _scout: Scout
    config: EndpointConfig
    candidates: tuple[Address, ...]
    random: Callable[[int], bytes]

    @property
    def sessions(self) -> Mapping[int, Session]: ...
    @property
    def armed(self) -> list[bytes]: ...
    def emit(self, event: Event) -> None: ...
    def wake(self, session: Session) -> None: ...
    def look(self, session: Session, handles: list[int], *, now: float) -> None: ...
    def announce_port(self, handle: int, addresses: tuple[Address, ...], *, now: float) -> None: ...
    def _open_another(self) -> None: ...
    def _end_move(self, turn: Turn, *, now: float) -> None: ...
    def _plan_move(self, *, now: float, after: float | None = None) -> None: ...
    def _movers(self) -> list[Session]: ...
    def _too_near_to_a_rekey(self, *, now: float) -> bool: ...
    def _follow(self, *, now: float) -> None: ...
    def _close_retired(self, *, now: float) -> None: ...
    def _addresses_of(self, handle: int) -> tuple[Address, ...]: ...
    def _moved_candidates(self, before: Address | None, new: int) -> tuple[Address, ...]: ...


class Porting:
    """Move an endpoint to another port, on time or on demand. PortMoved or PortKept follows."""

    @property
    def rotation_deadline(self: _Endpoint) -> float:
        """Return when there is something to do about ports."""
        rotation = self._rotation
        due = rotation.due_at if rotation.stage is Stage.STAYING else rotation.deadline
        return min([due, *(each.until for each in rotation.retired.values())]) if rotation.retired else due

    @property
    def port_moves(self: _Endpoint) -> int:
        """Tell how often the port has changed."""
        return self._rotation.moves

    def current_port(self: _Endpoint, handle: int) -> int:
        """Return the port that took the place of an old one, or the port itself."""
        main = self._rotation.main
        return main if handle in self._rotation.retired and main is not None else handle

    def hop(self: _Endpoint) -> None:
        """Move to another port now, unless that is under way or there is no port."""
        if self._rotation.main is not None and self._rotation.turn(Turn.DUE):
            self._rotation.tries = PORT_TRIES
            self._open_another()

    def retire_port(self: _Endpoint, handle: int, *, now: float) -> None:
        """Close a port of ours once a session has left it for good."""
        self._scout.retire(handle)
        self._rotation.retired[handle] = Retired(now + self.config.port_grace, frozenset())

    def mapping_ended(self: _Endpoint, *, now: float) -> None:
        """Learn that our NAT ends mappings on a schedule, and has just made a new one."""
        if self._rotation.stage is Stage.STAYING:
            before = self._rotation.due_at
            self._plan_move(now=now)
            self._rotation.due_at = min(before, self._rotation.due_at)

    def announce_port(self: _Endpoint, handle: int, addresses: tuple[Address, ...], *, now: float) -> None:
        """Tell every peer of a port that is ready, and where it is reached as far as the program knows.

        PortReady asked for it. What relays see of the port is told as well.
        """
        rotation = self._rotation
        if handle != rotation.new or not rotation.turn(Turn.ANNOUNCED):
            return
        self._scout.adopt(handle)
        rotation.addresses = addresses
        rotation.told.clear()
        rotation.deadline = max(now, rotation.seen_by)
        rotation.until = rotation.deadline + HOP_TIMEOUT

    # --- what happens ------------------------------------------------------------------------------

    def _note_port(self: _Endpoint, handle: int, address: Address, *, now: float) -> None:
        """Learn that a port is open: our first one, or the one to move to."""
        rotation = self._rotation
        if rotation.main is None and handle < FIRST_HANDLE:
            rotation.main = handle
            self._plan_move(now=now)
        if handle != rotation.new or not rotation.turn(Turn.OPENED):
            return
        links = self._links.among(self.sessions)
        for session in links:
            self.look(session, [handle], now=now)
        rotation.seen_by = now + (_LISTEN if links else 0.0)
        rotation.deadline = rotation.seen_by
        if self.config.prepares_ports:
            rotation.deadline = now + PREPARE_TIMEOUT
            self.emit(PortReady(handle, address))

    def _note_port_lost(self: _Endpoint, handle: int, *, now: float) -> None:
        """Learn that a port could not be opened, or is gone."""
        rotation = self._rotation
        if handle != rotation.new:
            return
        if rotation.stage is Stage.OPENING and rotation.tries > 0:
            self._open_another()
        else:
            self._end_move(Turn.FAILED, now=now)

    def _rotate(self: _Endpoint, *, now: float) -> None:
        """Do what is due about ports."""
        rotation = self._rotation
        self._close_retired(now=now)
        match rotation.stage:
            case Stage.STAYING if rotation.due_at <= now:
                if self._too_near_to_a_rekey(now=now):
                    self._plan_move(now=now, after=rotation_gap(self.config))
                else:
                    rotation.turn(Turn.DUE)
                    rotation.tries = PORT_TRIES
                    self._open_another()
            case Stage.PREPARING if rotation.deadline <= now:
                if self.config.prepares_ports or rotation.new is None:
                    self._end_move(Turn.FAILED, now=now)
                else:
                    self.announce_port(rotation.new, (), now=now)
                    self._follow(now=now)
            case Stage.MOVING if rotation.deadline <= now:
                self._follow(now=now)

    def _follow(self: _Endpoint, *, now: float) -> None:
        """Tell the sessions that have not been told yet; see who has followed."""
        rotation = self._rotation
        new = rotation.new
        movers = self._movers()
        waiting = [session for session in movers if session.path.port != new]
        gave_way = waiting and all(each.id in rotation.told and not each.machines.hopping.mine for each in waiting)
        if new is None or gave_way or (now >= rotation.until and waiting):
            moved = len(movers) > len(waiting)
            self._end_move(Turn.MOVED if moved else Turn.FAILED, now=now)
            return
        if not waiting:
            self._end_move(Turn.MOVED, now=now)
            return
        found = dict.fromkeys([*rotation.addresses, *self._addresses_of(new)])
        addresses = tuple(found)[:MAX_OBSERVED_CANDIDATES]
        for session in waiting:
            hopping = session.machines.hopping
            theirs = hopping.active(now=now) and not hopping.mine
            if session.id not in rotation.told and not theirs and session.machines.rekeying.phase is Phase.STEADY:
                rotation.told.add(session.id)
                session.machines.begin_hop(new, addresses, now=now)
                self.wake(session)
        rotation.deadline = now + HOP_LOOK

    def _movers(self: _Endpoint) -> list[Session]:
        """List the sessions that go directly, and so by a port of ours."""
        new = self._rotation.new
        local = self._scout.ports.get(new) if new is not None else None
        return [
            session
            for session in self.sessions.values()
            if session.state is State.OPEN
            and not session.path.relayed
            and not session.path.tunnelled
            and (local is None or session.path.remote.is_ipv6 == local.is_ipv6)
        ]

    def _end_move(self: _Endpoint, turn: Turn, *, now: float) -> None:
        rotation = self._rotation
        announced = rotation.stage is Stage.MOVING
        new, old = rotation.new, rotation.main
        if not rotation.turn(turn) or new is None or old is None:
            return
        rotation.new = None
        left = sum(session.path.port != new for session in self._movers())
        if turn is Turn.MOVED:
            rotation.moves += 1
            rotation.main = new
            before = self._scout.local(old)
            self._scout.retire(old)
            rotation.retired[old] = Retired(now + self.config.port_grace, frozenset(self.armed))
            if not self.config.prepares_ports:
                self.candidates = self._moved_candidates(before, new)
            self.emit(PortMoved(old, new, left))
            self._plan_move(now=now)
            for session in self.sessions.values():
                if session.path.relayed:  # which looks for a direct path by the ports there are
                    session.punch(now=now)
        else:
            # somebody may still come by a port that was announced: it hears for a while, like one that was left
            self._scout.retire(new)
            rotation.retired[new] = Retired(now + (self.config.port_grace if announced else 0.0), frozenset())
            self.emit(PortKept("nobody follows" if announced else "no other port could be made ready"))
            self._plan_move(now=now, after=min(PORT_RETRY, self.config.port_rotation or PORT_RETRY))

    def _close_retired(self: _Endpoint, *, now: float) -> None:
        used = {
            port for session in self.sessions.values() for port in session.machines.ports()
        } | self._attempts.ports()
        armed = set(self.armed)
        rotation = self._rotation
        for handle, retired in list(rotation.retired.items()):
            if retired.until <= now and handle not in used and not retired.slots & armed:
                del rotation.retired[handle]
                self._scout.close(handle)
                self.emit(PortClosed(handle))
            elif retired.until <= now:
                rotation.retired[handle] = retired._replace(until=now + self.config.port_grace)

    # --- when --------------------------------------------------------------------------------------

    def _plan_move(self: _Endpoint, *, now: float, after: float | None = None) -> None:
        rotation = self._rotation
        rotation.deadline = NEVER
        if not self.config.port_rotation:
            rotation.due_at = NEVER
            return
        periods = [session.machines.mapping_life.period for session in self.sessions.values()]
        shortest = min((MAPPING_SHARE * period for period in periods if period is not None), default=NEVER)
        share = int.from_bytes(self.random(2), "big") / _UNIT
        usual = self.config.port_rotation * (1 - JITTER + 2 * JITTER * share)
        rotation.due_at = now + (min(usual, max(shortest, SHORTEST_ROTATION)) if after is None else after)

    def _too_near_to_a_rekey(self: _Endpoint, *, now: float) -> bool:
        """Tell whether a client's session has new keys, or hears of its server's move, only since a moment ago."""
        gap = rotation_gap(self.config)
        clients = [session for session in self.sessions.values() if session.identity.role is Role.INITIATOR]
        return any(
            (session.machines.rekeying.epoch and session.machines.rekeying.began > now - gap)
            or session.machines.rekeying.phase is not Phase.STEADY
            or session.machines.hopping.at > now - gap
            for session in clients
        )

    # --- where -------------------------------------------------------------------------------------

    def _open_another(self: _Endpoint) -> None:
        rotation = self._rotation
        rotation.tries -= 1
        local = self._scout.ports.get(rotation.main) if rotation.main is not None else None
        number = FIRST_RANDOM_PORT + int.from_bytes(self.random(2), "big") % RANDOM_PORTS
        rotation.new = self._scout.open(Address(local.host if local is not None else "0.0.0.0", number))  # noqa: S104 - as the first one

    def _addresses_of(self: _Endpoint, handle: int) -> tuple[Address, ...]:
        """List where a new port may be reached: where relays see it, and where a NAT that keeps ports would put it."""
        main = self._rotation.main
        old = self._scout.local(main) if main is not None else None
        new = self._scout.local(handle)
        if old is None or new is None:
            return ()
        known = [*self.candidates, *(each.observed for each in self.sessions.values() if each.observed is not None)]
        guessed = [Address(each.host, new.port) for each in known if each.port == old.port]
        return tuple(dict.fromkeys([*self._scout.seen_of(handle), *guessed]))[:MAX_OBSERVED_CANDIDATES]

    def _moved_candidates(self: _Endpoint, before: Address | None, new: int) -> tuple[Address, ...]:
        """List the candidates of the program anew, with the new port in place of the old one."""
        after = self._scout.local(new)
        if before is None or after is None:
            return self.candidates
        return tuple(Address(each.host, after.port) if each.port == before.port else each for each in self.candidates)


def rotation_gap(config: EndpointConfig) -> float:
    """Return how far apart new keys and a new port are kept, in seconds: a minute with keys of an hour."""
    return min(MAX_ROTATION_GAP, config.key_rotation / 60)
