"""A planned network, built of containers and lent to whoever wants to run programs in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from lab.backends.compose import engine
from lab.backends.compose.document import Setting, agent_socket, document
from lab.backends.compose.machine import USER, ContainerMachine, give
from lab.backends.compose.passage import TABLE, Counts, check_counts, check_ways, read_counts
from lab.backends.cuts import Cuts
from lab.model.plan import Plan
from lab.model.topology import ROUTER
from lab.netns import NamespaceError

UP_TIMEOUT: Final = 240.0
"""Seconds that compose may take for a hundred containers on a busy machine."""

JOIN_TIMEOUT: Final = 60.0
"""Seconds until the last of them has its addresses."""

LOOK: Final = 0.1

JOINED: Final = b"joined"
"""What a container says when it is what it is to be."""

COMPOSE_SETTINGS: Final = {"COMPOSE_HTTP_TIMEOUT": "300", "COMPOSE_PARALLEL_LIMIT": "64", "COMPOSE_PROFILES": ""}
"""How compose is to behave on a small machine. A low limit of its parallel work makes docker-compose 1.29 hang."""

_worlds = itertools.count(1)
"""Distinguishes the worlds of one process in the names of their projects."""


class ContainerWorld(Cuts):
    """The containers of one plan; `build` makes them and `close` removes them."""

    def __init__(self, plan: Plan, *, rules_of: Mapping[str, str] | None = None) -> None:
        self.plan = plan
        self.project = f"clawlab-{os.getpid()}-{next(_worlds)}"
        self._rules_of = rules_of or {}
        self._folder: Path | None = None
        self._containers: dict[str, Any] = {}
        self._machines: dict[str, ContainerMachine] = {}

    @property
    def folder(self) -> Path:
        """Return a folder that all peers and hosts see under the same name as we do, and may write to."""
        if self._folder is None:
            raise NamespaceError("the containers are not there")
        return self._folder

    def machine(self, node: str) -> ContainerMachine:
        """Return a peer or a public host."""
        return self._machines[node]

    def container(self, node: str) -> Any:  # noqa: ANN401 - what Docker's library gives for any container
        """Return the container of any node."""
        return self._containers[node]

    def network(self, node: str) -> Path:
        """Return the file of a node's network namespace; only root may open it."""
        return Path("/proc", str(self._containers[node].attrs["State"]["Pid"]), "ns", "net")

    def build(self) -> None:
        """Make everything. Raises NamespaceError or RulesError and leaves nothing behind then."""
        try:
            self._build()
        except BaseException:
            self.close()
            raise

    def _build(self) -> None:
        # The name is short, since a unix socket's is.
        self._folder = Path(tempfile.mkdtemp(prefix="clawlab-"))
        give(self._folder)
        root = os.geteuid() == 0
        uid, gid = (USER, USER) if root else (os.geteuid(), os.getegid())
        setting = Setting(str(self._folder), f"{uid}:{gid}", os.getpid(), engine.free_slot(), self._rules_of)
        file = self._folder / "compose.yaml"
        file.write_text(yaml.safe_dump(document(self.plan, setting), sort_keys=False), encoding="utf-8")
        self._compose(file, "up", "--detach")
        found = engine.client().containers.list(
            all=True, filters={"label": f"com.docker.compose.project={self.project}"}, ignore_removed=True
        )
        self._containers = {one.labels["com.docker.compose.service"]: one for one in found}
        self._wait_until_joined()
        for node in [*self.plan.hosts, *self.plan.peers]:
            self._machines[node] = ContainerMachine(node, Path(agent_socket(str(self._folder), node)))

    def _compose(self, file: Path, *words: str) -> None:
        command = [*engine.compose_command(), "--project-name", self.project, "--file", str(file), *words]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                check=False,
                timeout=UP_TIMEOUT,
                env=os.environ | COMPOSE_SETTINGS,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise NamespaceError(f"{' '.join(command)}: not done after {UP_TIMEOUT:g} s") from error
        if done.returncode != 0:
            raise NamespaceError(f"{' '.join(command)}: {done.stderr.strip()[-2000:]}")

    def _wait_until_joined(self) -> None:
        """Wait until every container has its addresses. Raises NamespaceError with the words of one that has not."""
        deadline = time.monotonic() + JOIN_TIMEOUT
        inside = {*self.plan.hosts, *self.plan.peers}
        waiting = {name for name in self._containers if name not in inside}
        while waiting:
            for name in sorted(waiting):
                said = self._containers[name].logs()
                if JOINED in said.splitlines():
                    waiting.discard(name)
                    continue
                self._containers[name].reload()
                if self._containers[name].status in {"exited", "dead"} or time.monotonic() > deadline:
                    raise NamespaceError(f"{name} did not come up: {said.decode(errors='replace').strip()}")
            time.sleep(LOOK if waiting else 0)

    def run_in(self, node: str, *argv: str) -> str:
        """Run a short command in a gateway or the router and return what it printed. Raises NamespaceError."""
        code, printed = self._containers[node].exec_run(list(argv))
        text = str(printed.decode("utf-8", "replace"))
        if code != 0:
            raise NamespaceError(f"{node}: {' '.join(argv)[:80]}: {text.strip()}")
        return text

    def load_router(self, text: str) -> None:
        """Have the router read nft commands."""
        self.run_in(ROUTER, "nft", text)

    def check_ways(self) -> None:
        """Raise BypassError unless packets of every peer go through its gateway."""
        check_ways(self)
        self.check_counts()

    def counts(self) -> Counts:
        """Return what the router has counted since the beginning."""
        return read_counts(self.plan, self.run_in(ROUTER, "nft", "-j", "list", "counters", "table", "ip", TABLE))

    def check_counts(self) -> None:
        """Raise BypassError if anything came round its gateway since the beginning."""
        check_counts(self.counts())

    def close(self) -> None:
        """Remove everything; harmless when there is nothing (left)."""
        for machine in self._machines.values():
            machine.close()
        self._machines.clear()
        if self._folder is None:
            return
        engine.remove_project(self.project)
        self._containers.clear()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None


@contextlib.contextmanager
def opened(plan: Plan, *, rules_of: Mapping[str, str] | None = None) -> Iterator[ContainerWorld]:
    """Build a plan, lend it, and leave nothing of it behind.

    `rules_of` has texts that replace the rules of some gateways. Leftovers of dead runs are removed on the way.
    """
    engine.remove_leftovers()
    world = ContainerWorld(plan, rules_of=rules_of)
    world.build()
    try:
        yield world
    finally:
        world.close()
