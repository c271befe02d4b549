"""Namespaces in which strategies meet: lanes of two NATs, an end behind each, two relays that are rendezvous as well.

Ends are processes that live as long as the arena and fight one duel after the other; before each the gateways of the
lane forget everything. Lanes are independent of each other, so that several can be busy at once.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from clawchat.crypto.relay_text import write_relay
from clawchat.crypto.secfile import open_file
from clawchat.net import files
from lab.backends.netns.machine import CHECKOUT, environment
from lab.backends.netns.world import World, opened
from lab.matrix.programs import relay
from lab.model.link import CLEAN, Link
from lab.model.plan import Plan, plan
from lab.model.topology import Host, Topology, row
from lab.netns import Namespace, NamespaceError
from lab.strategies.outcome import Order, Outcome
from lab.strategies.rival_end import SERVER_PORT

HOSTS: Final = ("relay-1", "relay-2")
"""Two, since a NAT shows how it chooses ports only to more than one remote end."""

PATIENCE: Final = 40.0
"""Seconds after which an end that says nothing counts as hung: far more than any duel takes."""

KEY_NAME: Final = "bootstrap.key"


@dataclass(frozen=True, slots=True)
class Lane:
    """A client's NAT and a server's, by the names of their presets, and the cable of each."""

    client: str
    server: str
    link: Link = CLEAN


@dataclass(frozen=True, slots=True)
class Duel:
    """What became of the two ends."""

    client: Outcome
    server: Outcome

    @property
    def packets(self) -> int:
        """Return how many datagrams both ends sent towards each other until they were direct."""
        return self.client.sent + self.server.sent


class End:
    """A program that carries out orders."""

    def __init__(self, namespace: Namespace, words: Sequence[str], log: Path) -> None:
        self._name = namespace.name
        self._log = log
        with log.open("wb") as errors:
            self._process = namespace.exec(
                [sys.executable, "-m", "lab.strategies.program", *words],
                env=environment(log.parent),
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )

    def tell(self, line: dict[str, Any]) -> None:
        """Write a line. Raises NamespaceError when nobody reads it."""
        if self._process.stdin is None:
            raise NamespaceError(f"the end in {self._name} has no pipe")
        try:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise NamespaceError(self._words()) from error

    def hear(self) -> dict[str, Any]:
        """Read a line. Raises NamespaceError when the end died, or hangs."""
        if self._process.stdout is None:
            raise NamespaceError(f"the end in {self._name} has no pipe")
        guard = threading.Timer(PATIENCE, self._process.kill)
        guard.start()
        try:
            line = self._process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            raise NamespaceError(self._words())
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        """Let it end."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _words(self) -> str:
        return f"the end in {self._name} failed:\n{self._log.read_text(errors='replace')[-2000:]}"


class Arena:
    """Lanes at work; made by `arena`."""

    def __init__(self, world: World, lanes: Sequence[Lane], place: Path) -> None:
        self.world = world
        self.lanes = lanes
        programs = [relay(world.machine(name), place / name) for name in HOSTS]
        for each in programs:
            each.wait_for("started")
        self._relays = tuple(_relay_text(each.security) for each in programs)
        hosts = [(name, world.plan.hosts[name].addresses[0]) for name in HOSTS]
        self._servers = tuple((address, SERVER_PORT) for _, address in hosts)
        self._hosts = [
            End(world.namespace(name), ["rendezvous", address], place / f"{name}.rendezvous") for name, address in hosts
        ]
        self._ends = [
            tuple(End(world.namespace(node), ["end"], place / f"{node}.log") for node in _nodes(number))
            for number in range(len(lanes))
        ]
        for end in (*self._hosts, *(end for pair in self._ends for end in pair)):
            end.hear()

    def duel(self, lane: int, order: Order, *, late: tuple[float, float] = (0.0, 0.0)) -> Duel:
        """Let a lane's two ends fight; ``late`` are the client's and the server's sleeps. Raises NamespaceError."""
        for gateway in _gateways(lane):
            for layer in self.world.plan.layers(gateway):
                self.world.forget(layer.name)
        client, server = self._ends[lane]
        order = replace(order, servers=self._servers, relays=self._relays)
        server.tell(replace(order, role="server", late=late[1]).as_json())
        credential = str(server.hear().get("credential", ""))
        client.tell(replace(order, role="client", late=late[0], credential=credential).as_json())
        ours = Outcome.from_json(client.hear()["outcome"])
        server.tell({"direct_at": ours.direct_at})
        return Duel(ours, Outcome.from_json(server.hear()["outcome"]))

    def close(self) -> None:
        """Let all ends go; the namespaces end what does not."""
        for end in (*self._hosts, *(end for pair in self._ends for end in pair)):
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def arena_plan(lanes: Sequence[Lane], delay: float) -> Plan:
    """Return the network of these lanes; ``delay`` is that of the hosts' cables, in seconds."""
    hosts = [Host(name, link=Link(delay=delay) if delay else CLEAN) for name in HOSTS]
    topology = row([name for lane in lanes for name in (lane.client, lane.server)], hosts=hosts)
    links = {name: lane.link for number, lane in enumerate(lanes) for name in _gateways(number)}
    gateways = tuple(
        one if one.behind else replace(one, link=links[one.name.removesuffix("-outer")]) for one in topology.gateways
    )
    return plan(Topology("arena", gateways, topology.peers, topology.hosts))


@contextlib.contextmanager
def arena(lanes: Sequence[Lane], *, delay: float = 0.0, seed: int = 0) -> Iterator[Arena]:
    """Build lanes, lend them, and leave nothing behind. Raises NamespaceError."""
    with (
        tempfile.TemporaryDirectory(prefix="clawchat-arena-") as place,
        opened(arena_plan(lanes, delay), seed=seed) as world,
        Arena(world, lanes, Path(place)) as made,
    ):
        yield made


def _gateways(lane: int) -> tuple[str, str]:
    return f"g{2 * lane + 1}", f"g{2 * lane + 2}"


def _nodes(lane: int) -> tuple[str, str]:
    client, server = _gateways(lane)
    return f"{client}-a", f"{server}-a"


def _relay_text(security: Path) -> str:
    bootstrap = files.load_bootstrap(next(security.glob("*.key")))
    return write_relay(open_file((security / "relay.sec").read_bytes(), bootstrap))
