"""Where the tests happen: two namespaces on one cable, and the programs in them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from lab import netns
from lab.netns import Interface

CHECKOUT: Final = Path(__file__).resolve().parents[2]
PORT: Final = 4433
"""The server's; the namespace is ours alone."""

NOBODY: Final = "02:00:00:00:00:99"
"""A hardware address that no device has."""

PATIENCE: Final = 60.0
"""A program that takes longer to answer hangs; a busy machine is slow, but not that slow."""


class Family(NamedTuple):
    """The addresses of one IP version: where both ends begin, and where the client goes."""

    server: str
    client: str
    neighbour: str
    """Another address in the client's subnet."""
    elsewhere: str
    """An address in a subnet of its own."""
    length: int
    """Of the subnets' prefixes."""
    everywhere: str
    """The prefix of the default route."""


IPV4: Final = Family("198.51.100.1", "198.51.100.2", "198.51.100.3", "203.0.113.9", 24, "0.0.0.0/0")
IPV6: Final = Family("2001:db8:1::1", "2001:db8:1::2", "2001:db8:1::3", "2001:db8:2::9", 64, "::/0")


class Actor:
    """A program in a namespace that is told one JSON object a line and answers in the same way."""

    def __init__(self, place: Interface, log: Path, module: str, *arguments: str) -> None:
        self._log = log
        self._name = f"{module} {' '.join(arguments)}"
        self._unread = b""
        with log.open("ab") as errors:
            self._process = place.namespace.exec(
                [sys.executable, "-m", f"tests.netns.{module}", *arguments],
                cwd=CHECKOUT,
                dies_with_parent=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                bufsize=0,
            )

    def tell(self, do: str, **arguments: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")

    def hear(self, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for the next thing it says."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._process.stdout.fileno(), 1 << 16) if ready else b""
            if not data:
                how = "ended" if ready else f"said nothing for {timeout:g} s"
                raise AssertionError(f"{self._name} {how}\n{self._log.read_text('utf-8', 'replace')[-4000:]}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        self.tell(do, **arguments)
        return self.hear()

    def hang_up(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        netns.end(self._process)


@dataclass(slots=True)
class Ground:
    """Two ends of a cable that carries every datagram alone."""

    server: Interface
    client: Interface
    family: Family
    folder: Path
    actors: list[Actor]

    def start(self, place: Interface, module: str, *arguments: str, ready: bool = True) -> Actor:
        """Start a program, and wait until it is ready."""
        log = self.folder / f"{len(self.actors)}-{module}.log"
        actor = Actor(place, log, module, *arguments)
        self.actors.append(actor)
        if ready:
            assert actor.hear() == {"ready": True}
        return actor

    def lead_everywhere(self, end: Interface) -> None:
        """Give an end its default route, as a network it joins does; losing the address or the link loses that too."""
        end.namespace.ip("route", "replace", self.family.everywhere, "dev", end.device)

    def move(self, old: str, new: str) -> None:
        """Take an address of the client's away and give it another one."""
        namespace, device, length = self.client.namespace, self.client.device, self.family.length
        namespace.ip("address", "del", f"{old}/{length}", "dev", device)
        extra = ["nodad"] if ":" in new else []
        namespace.ip("address", "add", f"{new}/{length}", "dev", device, *extra)
        self.lead_everywhere(self.client)

    def divert(self, *, back: bool = False) -> None:
        """Lead what both ends send to nobody, and neither is told."""
        for end, peer in ((self.server, self.family.client), (self.client, self.family.server)):
            neighbour = ("del", peer) if back else ("replace", peer, "lladdr", NOBODY, "nud", "permanent")
            end.namespace.ip("neighbour", *neighbour, "dev", end.device)

    def start_server(self, *flags: str) -> Actor:
        return self.start(self.server, "ends", "server", self.family.server, str(PORT), *flags)

    def start_client(self, *flags: str) -> Actor:
        return self.start(self.client, "ends", "client", self.family.server, str(PORT), *flags)

    def start_both(self, *flags: str) -> tuple[Actor, Actor]:
        """Start a server and a client that has joined it."""
        server, client = self.start_server(*flags), self.start_client(*flags)
        client.ask("connect")
        return server, client


@contextlib.contextmanager
def laid(family: Family, folder: Path) -> Iterator[Ground]:
    """Lay a cable, lend it, end what ran on it and take it up again."""
    ends = (f"{family.server}/{family.length}", f"{family.client}/{family.length}")
    with netns.pair("test", ends) as (server, client):
        netns.wire(server, client)
        ground = Ground(server, client, family, folder, [])
        for end in (server, client):
            ground.lead_everywhere(end)
        try:
            yield ground
        finally:
            for actor in ground.actors:
                actor.hang_up()
