"""The matrix over namespaces: real programs behind real netfilter.

Every NAT is built twice, once with a client behind it and once with a server, and all servers run all the time. In
each round every client's NAT meets another server's, so that no gateway carries two cells at once.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from lab.backends.netns.world import World, opened
from lab.matrix.expected import BLOCKED, NO_UDP, Verdict
from lab.matrix.programs import Client, Program, relay, server
from lab.matrix.result import CellResult, Matrix
from lab.model.plan import plan
from lab.model.topology import Host, row

RELAYS: Final = ("relay-1", "relay-2")
"""Two, since a NAT shows how it chooses ports only to more than one remote end."""

CELL_SECONDS: Final = 12.0
"""How long a cell has to connect, and then to become direct; the longest guesses take half of that."""

SLACK: Final = 10.0
"""Seconds that a client's start and its farewell may take on a busy machine."""

SILENT: Final = "CC-SERVER-SILENT"
"""What a client says that found no way to its server."""

RELAYED: Final = "relay"
"""How the client names a path that a relay carries."""


def try_namespaces(names: Sequence[str]) -> Matrix:
    """Try every ordered pair of these presets. Raises NamespaceError."""
    began = time.monotonic()
    wanted = plan(row([*names, *names], hosts=[Host(name) for name in RELAYS]))
    with tempfile.TemporaryDirectory(prefix="clawchat-matrix-") as place, opened(wanted) as world:
        cells = _Run(world, names, Path(place)).cells()
    return Matrix("netns", cells, time.monotonic() - began)


class _Run:
    """All programs of a matrix."""

    def __init__(self, world: World, names: Sequence[str], place: Path) -> None:
        self._world = world
        self._names = names
        self._place = place
        relays = [relay(world.namespace(name), place / name) for name in RELAYS]
        for each in relays:
            each.wait_for("started")
        files = [each.security / "relay.sec" for each in relays]
        self._servers = [
            server(world.namespace(f"g{len(names) + number}-a"), place / f"server-{name}", files)
            for number, name in enumerate(names, 1)
        ]
        for name, each in zip(names, self._servers, strict=True):
            # Where no datagram leaves, no relay is joined, and the server runs without.
            each.wait_for("started" if name == BLOCKED else "relay-joined")

    def cells(self) -> tuple[CellResult, ...]:
        """Go through all pairs; return them row by row."""
        found = {(cell.client, cell.server): cell for shift in range(len(self._names)) for cell in self._round(shift)}
        return tuple(found[client, server] for client in self._names for server in self._names)

    def _round(self, shift: int) -> Iterator[CellResult]:
        running: list[tuple[str, str, Client]] = []
        for number, name in enumerate(self._names):
            other = (number + shift) % len(self._names)
            running.append((name, self._names[other], self._client(number, name, self._servers[other])))
        deadline = time.monotonic() + 2 * CELL_SECONDS + SLACK
        for client, server_name, each in running:
            each.finish(deadline)
            yield result(client, server_name, each.events, each.code)

    def _client(self, number: int, name: str, peer: Program) -> Client:
        home = self._place / f"{peer.directory.name}-{name}"
        file = peer.invite(f"for-{name}")
        return Client(self._world.namespace(f"g{number + 1}-a"), home, file, seconds=CELL_SECONDS)


def result(client: str, server_name: str, events: Sequence[dict[str, Any]], code: str) -> CellResult:
    """Judge a cell by what its client told: the path that carried data last."""
    begun, up = _first(events, "connecting"), _first(events, "connected")
    answered = [event for event in events if event["event"] == "pong"]
    if up is None or not answered:
        blocked = code == SILENT and BLOCKED in {client, server_name}
        reason = NO_UDP if blocked else code or "the client ended without a word"
        return CellResult(client, server_name, Verdict.FAIL, reason, broken=code != SILENT)
    opened_after = up["time"] - begun["time"] if begun is not None else None
    if answered[-1]["path"] == RELAYED:
        return CellResult(client, server_name, Verdict.RELAY, code, opened_after)
    changed = [event for event in events if event["event"] == "path_changed" and event["path"] != RELAYED]
    why = changed[-1]["why"] if changed else "at once"
    first = next(event for event in [up, *events] if event.get("path", RELAYED) != RELAYED)
    return CellResult(client, server_name, Verdict.DIRECT, why, opened_after, first["time"] - up["time"])


def _first(events: Sequence[dict[str, Any]], kind: str) -> dict[str, Any] | None:
    return next((event for event in events if event["event"] == kind), None)
