"""The matrix over namespaces or containers: real programs behind real netfilter.

Every NAT is built twice, once with a client behind it and once with a server, and all servers run all the time. A
session begins as soon as both of its gateways are idle, so that no gateway ever carries two.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from clawchat.values.limits import FAN_INTERVAL
from lab.backends.machine import World
from lab.backends.netns.world import opened
from lab.matrix.expected import Foresight, Pair, Verdict, expected, foresight, guesses
from lab.matrix.programs import KEYS, relay, server
from lab.matrix.result import FORGIVEN, CellResult, Matrix, Run
from lab.matrix.session import Ground, Session, Stage
from lab.matrix.tapes import Tapes, Taping
from lab.model.nat import Unsolicited
from lab.model.plan import Plan, plan
from lab.model.presets import preset
from lab.model.topology import DEFAULT_RULES, PREFERRED_RULES, ROUTER, Host, row

RELAYS: Final = ("relay-1", "relay-2")
"""Two, since a NAT shows how it chooses ports only to more than one remote end."""

BUSY: Final = 3 * (os.cpu_count() or 1)
"""Sessions at once; most of the time they wait."""

REST: Final = FAN_INTERVAL + 5.0
"""Seconds between two sessions in which a server guesses ports; programs do not start equally fast."""

SPOILT_REST: Final = 35.0
"""The same for a server whose gateway takes what nobody asked for: many guesses spoil the server's own port there, and
Linux forgets that after thirty seconds."""

Once: TypeAlias = Callable[[Sequence[Pair], int, Taping | None], tuple[CellResult, ...]]
"""Try pairs, each so many times, in a network that is built for them."""

LOOK: Final = 0.05
"""Seconds between two looks at the sessions."""


def try_namespaces(pairs: Sequence[Pair], *, runs: int = 1, taping: Taping | None = None) -> Matrix:
    """Try these pairs in namespaces, each so often, perhaps recorded and proven to be ciphertext.

    Raises NamespaceError.
    """

    def once(pairs: Sequence[Pair], runs: int, taping: Taping | None) -> tuple[CellResult, ...]:
        with tempfile.TemporaryDirectory(prefix="clawchat-matrix-") as place, opened(network(pairs)) as world:
            return try_world(world, pairs, Path(place), runs=runs, taping=taping)

    began = time.monotonic()
    return Matrix("netns", with_second_looks(once, pairs, runs, taping), time.monotonic() - began)


def try_containers(pairs: Sequence[Pair], *, runs: int = 1, taping: Taping | None = None) -> Matrix:
    """Do the same in containers. Raises NamespaceError, and BypassError if a packet came round its gateway."""
    from lab.backends.compose.world import opened as opened_containers

    def once(pairs: Sequence[Pair], runs: int, taping: Taping | None) -> tuple[CellResult, ...]:
        with opened_containers(network(pairs, PREFERRED_RULES)) as world:
            world.check_ways()
            cells = try_world(world, pairs, world.folder, runs=runs, taping=taping)
            world.check_counts()
            return cells

    began = time.monotonic()
    return Matrix("compose", with_second_looks(once, pairs, runs, taping), time.monotonic() - began)


def with_second_looks(once: Once, pairs: Sequence[Pair], runs: int, taping: Taping | None) -> tuple[CellResult, ...]:
    """Try these pairs; where guesses missed, which chance alone may do, try again, and then they have to hit.

    That is done in a network of its own, because servers guess for the same pair of networks only once in a while.
    """
    found = {(cell.client, cell.server): cell for cell in once(pairs, runs, taping)}
    for number in range(1, FORGIVEN):
        missed = [pair for pair, cell in found.items() if cell.unexpected and any(run.missed for run in cell.runs)]
        if not missed:
            break
        place = None if taping is None or taping.keep is None else taping.keep / f"again-{number}"
        for cell in once(missed, runs, None if taping is None else taping._replace(keep=place)):
            before = found[cell.client, cell.server]
            found[cell.client, cell.server] = replace(before, runs=(*before.runs, *cell.runs))
    return tuple(found[pair] for pair in pairs)


def network(pairs: Sequence[Pair], rules: str = DEFAULT_RULES) -> Plan:
    """Plan what these pairs need: a gateway for every client's NAT and one for every server's, and the relays."""
    clients, servers = _sides(pairs)
    return plan(row([*clients, *servers], hosts=[Host(name) for name in RELAYS], rules=rules))


def try_world(
    world: World, pairs: Sequence[Pair], place: Path, *, runs: int, taping: Taping | None = None
) -> tuple[CellResult, ...]:
    """Try these pairs in a network that stands; all programs have their files at this place."""
    with contextlib.ExitStack() as stack:
        tapes = stack.enter_context(_tapes(world, place, taping)) if taping else None
        round_ = _Round(world, *_sides(pairs), place, tapes)
        found = round_.through([pair for pair in pairs for _ in range(runs)])
        if tapes is not None:
            found = tapes.judge(found, place.rglob(f"*{KEYS}"))
    if taping is None or taping.keep is None:
        found = {pair: [replace(run, capture=None) for run in each] for pair, each in found.items()}
    return tuple(CellResult(*pair, tuple(found[pair])) for pair in pairs)


def _sides(pairs: Sequence[Pair]) -> tuple[list[str], list[str]]:
    clients, servers = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True))
    return clients, servers


def _tapes(world: World, place: Path, taping: Taping) -> Tapes:
    folder = taping.keep or place / "captures"
    folder.mkdir(parents=True, exist_ok=True)
    plan_ = world.plan
    nodes = [ROUTER, *plan_.gateways, *plan_.hosts, *plan_.peers]
    return Tapes(plan_, {node: world.network(node) for node in nodes}, folder)


class _Round:
    """All programs of a matrix."""

    def __init__(
        self, world: World, clients: Sequence[str], servers: Sequence[str], place: Path, tapes: Tapes | None
    ) -> None:
        self._world = world
        self._tapes = tapes
        self._recorded: dict[Session, Path] = {}
        self._place = place
        self._clients = {name: f"g{number}" for number, name in enumerate(clients, 1)}
        self._behind = {name: f"g{number}" for number, name in enumerate(servers, len(clients) + 1)}
        self._rested = dict.fromkeys(servers, 0.0)
        """When a server may guess ports again."""
        relays = [relay(world.machine(name), place / name) for name in RELAYS]
        for each in relays:
            each.wait_for("started")
        files = [each.security / "relay.sec" for each in relays]
        self._servers = {
            name: server(world.machine(f"{gateway}-a"), place / f"server-{name}", files)
            for name, gateway in self._behind.items()
        }
        for each in self._servers.values():
            each.wait_for("relay-joined")

    def through(self, pairs: Sequence[Pair]) -> dict[Pair, list[Run]]:
        """Go through all pairs."""
        found: dict[Pair, list[Run]] = {pair: [] for pair in pairs}
        # Those that take long begin first, and have company.
        waiting = sorted(pairs, key=_haste)
        running: list[Session] = []
        try:
            while waiting or running:
                for pair in [*waiting] if len(running) < BUSY else []:
                    if len(running) < BUSY and self._is_free(pair, running, waiting):
                        waiting.remove(pair)
                        running.append(self._session(pair))
                time.sleep(LOOK)
                for session in running:
                    session.look()
                    if session.run is not None:
                        found[session.pair].append(self._recording_of(session, session.run))
                running = [session for session in running if session.stage is not Stage.OVER]
        finally:
            for session in running:
                session.close()
        return found

    def _recording_of(self, session: Session, run: Run) -> Run:
        """End the recording of a session that is over; return its run with the file."""
        file = self._recorded.pop(session, None)
        if file is None or self._tapes is None:
            return run
        self._tapes.end(file)
        return replace(run, capture=str(file))

    def _is_free(self, pair: Pair, running: Sequence[Session], waiting: Sequence[Pair]) -> bool:
        client, server = pair
        if any(session.pair[0] == client or session.pair[1] == server for session in running):
            return False
        if guesses(*pair):
            return time.monotonic() >= self._rested[server]
        # What other sessions may spoil as well, the guesses have to find unspoilt.
        return not (_is_spoilable(server) and any(each[1] == server and guesses(*each) for each in waiting))

    def _session(self, pair: Pair) -> Session:
        name, server_name = pair
        if guesses(*pair):
            rest = SPOILT_REST if _is_spoilable(server_name) else REST
            self._rested[server_name] = time.monotonic() + rest
        peer = self._servers[server_name]
        file = peer.invite(f"for-{name}")
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-{server_name}-", dir=self._place))
        self._world.machine(f"{self._clients[name]}-a").give(folder)
        gateway = self._world.plan.layers(self._clients[name])[-1].name
        ground = Ground(f"{self._clients[name]}-a", f"{self._behind[server_name]}-a", gateway, RELAYS)
        recording = None
        if self._tapes is not None:
            recording = self._tapes.begin(pair, [self._clients[name], self._behind[server_name]])
        session = Session(pair, self._world, ground, folder / "home", file)
        if recording is not None:
            self._recorded[session] = recording
        return session


def _is_spoilable(server: str) -> bool:
    """Tell whether a gateway of this server takes what nobody asked for."""
    return any(nat.unsolicited is Unsolicited.ACCEPT for nat in preset(server).layers)


def _haste(pair: Pair) -> tuple[bool, bool, bool]:
    """Order the pairs: guesses first, and of these the ones at hidden ports, which spoil least of a gateway."""
    hidden = foresight(preset(pair[0]).layers) is Foresight.HIDDEN
    return not guesses(*pair), not hidden, expected(*pair) is Verdict.DIRECT
