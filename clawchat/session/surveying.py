"""The part of an endpoint that knows its place: its ports, its relays, and what the network says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

from clawchat.nat.reasons import Reason
from clawchat.nat.scope import is_public
from clawchat.session.attempts import Attempts
from clawchat.session.config import EndpointConfig
from clawchat.session.links import Links
from clawchat.session.scouting import Scout
from clawchat.session.session import Session
from clawchat.values.address import Address, Path
from clawchat.values.limits import SURVEY_FRESH, SURVEY_LIFE


class _Endpoint(Protocol):
    """What the parts of an endpoint share."""

    _attempts: Attempts
    _links: Links
    _scout: Scout
    config: EndpointConfig
    candidates: tuple[Address, ...]
    path_errors: Counter[str]

    @property
    def sessions(self) -> Mapping[int, Session]: ...
    @property
    def drops(self) -> Counter[str]: ...
    @property
    def wake(self) -> Callable[[Session], None]: ...
    def survey(self, *, now: float, life: float = ...) -> None: ...
    def look(self, session: Session, handles: list[int], *, now: float) -> None: ...
    def observed(self, path: Path, address: Address, *, at: float, now: float) -> None: ...
    def _note_port(self, handle: int, address: Address, *, now: float) -> None: ...
    def _note_port_lost(self, handle: int, *, now: float) -> None: ...


class Surveying:
    """Keep ports and links, ask relays what they see, tell sessions what follows from it."""

    @property
    def scout(self: _Endpoint) -> Scout:
        """What is known of our own place; set its depth with ``scout.set_depth`` when it is measured."""
        return self._scout

    @property
    def ports(self: _Endpoint) -> dict[int, Address]:
        """The program's ports by handle, with their addresses."""
        return self._scout.ports

    @property
    def direct_allowed(self: _Endpoint) -> bool:
        """Tell whether a session may leave its relay."""
        return self.config.punch

    def ways(self: _Endpoint, addresses: tuple[Address, ...]) -> tuple[Path, ...]:
        """List the paths from our ports to these addresses, none if we do not punch."""
        return self._scout.ways(addresses) if self.config.punch else ()

    def tunnelled(self: _Endpoint, path: Path) -> bool:
        """Tell whether a WebSocket carries a path, be it that of a link."""
        if not path.relayed:
            return path.tunnelled
        link = self.sessions.get(self._links.session(path.port))
        return link is not None and link.path.tunnelled

    def told(self: _Endpoint, path: Path) -> tuple[Address, ...]:
        """List what a handshake by this path says of where we are: over a relay, all that a peer may punch towards."""
        return self._scout.offer(self.candidates) if path.relayed and self.config.punch else self.candidates

    # --- ports -------------------------------------------------------------------------------------

    def port_opened(self: _Endpoint, handle: int, address: Address, *, now: float) -> None:
        """Learn that one of our ports is open, or that its address changed."""
        programs = self._scout.opened(handle, address)
        self._note_port(handle, address, now=now)
        if programs:
            return
        spare = handle in self._scout.spares()
        for session in self.sessions.values():
            punching = session.machines.punching
            if spare and self._links.is_link(session.id):
                self.look(session, [handle], now=now)
            elif punching is not None and punching.busy:
                punching.on_port(now=now)
                self.wake(session)

    def port_failed(self: _Endpoint, handle: int, *, now: float) -> None:
        """Learn that a port could not be opened, or is closed."""
        self._scout.failed(handle)
        self._note_port_lost(handle, now=now)

    # --- what relays see ---------------------------------------------------------------------------

    def link(self: _Endpoint, session_id: int, *, now: float) -> int:
        """Let a session with a relay carry others; return the virtual port of paths through it."""
        handle = self._links.open(session_id)
        session = self.sessions.get(session_id)
        links = self._links.among(self.sessions)
        self._scout.blocked = not self._scout.heard and all(each.path.tunnelled for each in links)
        if session is not None and self.config.punch:
            spares = self._scout.spares()
            if not spares and self._scout.stale(SURVEY_LIFE, now=now):
                self.survey(now=now)
            else:
                self.look(session, [*self._scout.ports, *spares], now=now)
        return handle

    def _relay_left(self: _Endpoint, link: int) -> None:
        """Let every session that this relay carries, or holds in reserve, go by another one."""
        for session in self.sessions.values():
            punching = session.machines.punching
            if punching is not None:
                punching.on_relay_left(link)
                self.wake(session)

    def survey(self: _Endpoint, *, now: float, life: float = SURVEY_LIFE) -> None:
        """Ask relays what they see of us, through fresh ports, unless they were asked in the last ``life`` seconds.

        Where no UDP comes back yet, the ports that we have are enough to find out whether it does.
        """
        if not self.config.punch or not self._scout.stale(life, now=now):
            return
        if not self._scout.blocked:
            self._scout.gather(now=now)
        for session in self._links.among(self.sessions):
            self.look(session, list(self._scout.ports), now=now)

    def look(self: _Endpoint, session: Session, handles: list[int], *, now: float) -> None:
        """Ask one relay, at each of its addresses, what it sees of these ports, unless it has just told."""
        known = (session.path.remote, *session.peer_candidates)
        for handle in handles:
            for remote in dict.fromkeys(each for each in known if each.port and is_public(each.host)):
                path = Path(handle, remote)
                if not self._scout.knows(path, since=now - SURVEY_FRESH):
                    session.machines.look(path)
        self.wake(session)

    def feel(self: _Endpoint, session_id: int, path: Path, ttl: int, *, until: float = 0.0) -> None:
        """Send a relay a packet that dies on its way, so that a router says how deep our own NATs are.

        Until that is known, or ``until``, no NAT is opened.
        """
        self._scout.await_depth(until)
        session = self.sessions.get(session_id)
        if session is not None:
            session.machines.look(path, ttl)
            self.wake(session)

    def felt(self: _Endpoint, hops: int | None) -> None:
        """Learn how deep our own NATs are, None if nobody said, and go on."""
        self._scout.await_depth(0.0)
        if hops is not None:
            self._scout.set_depth(hops)
        for session in self.sessions.values():
            if session.machines.punching is not None:
                self.wake(session)

    def observed(self: _Endpoint, path: Path, address: Address, *, at: float, now: float) -> None:
        """Take note of what a server saw of a port of ours, by a datagram that left ``at``."""
        if not is_public(address.host) or not self._scout.observe(path, address, at=at):
            return
        for session in self.sessions.values():
            punching = session.machines.punching
            if punching is not None:
                punching.on_news(now=now)
                self.wake(session)

    def _note_welcome(
        self: _Endpoint, session: Session, relayed: list[Path], path: Path, *, sent_at: float, now: float
    ) -> None:
        """Learn from a handshake of ours: what its server saw, and by which relays it may be reached as well."""
        if session.observed is not None and not path.relayed:
            self.observed(path, session.observed, at=sent_at, now=now)
        for each in relayed:
            session.machines.rely_on(each, now=now)

    # --- what the network says ---------------------------------------------------------------------

    def path_error(self: _Endpoint, path: Path, name: str, *, now: float) -> None:
        """Count what the network said of a path: anybody can forge ICMP, so at most another port is tried."""
        self.path_errors[name] += 1
        if name != "ECONNREFUSED":
            return
        for session in self.sessions.values():
            punching = session.machines.punching
            if punching is not None and punching.busy:
                punching.on_struck(path, now=now)
                self.wake(session)

    def network_changed(self: _Endpoint, *, now: float) -> None:
        """Show every peer at once where we are now: our addresses changed."""
        self._scout.moved()
        for session in self.sessions.values():
            session.nudge()
            session.machines.on_network_changed(now=now)
            self.wake(session)
        self._attempts.hurry(now=now)

    def why_silent(self: _Endpoint) -> Reason:
        """Return why a handshake may have failed: nobody answers, or only the server does not."""
        return Reason.SERVER_SILENT if self.sessions or self._scout.heard else Reason.UDP_BLOCKED
