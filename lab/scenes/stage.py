"""The programs of a scene in the namespaces of a world: relays, a server, a client, and what they tell."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from clawchat.net import control, files
from client.peer import RELAYED
from lab.backends.machine import Machine
from lab.backends.netns.machine import environment
from lab.backends.netns.world import World
from lab.matrix.programs import KEYS, Program, keylog
from lab.netns import Namespace, NamespaceError, end
from lab.scenes.cargo import MIB, Wait
from server.bootstrap import write_key
from server.home import CONFIGURATION_NAME, SECURITY_NAME, Home

RELAYS: Final = ("relay-1", "relay-2")
CONNECT_SECONDS: Final = 20.0
LOOK: Final = 0.02

RATE: Final = 12 * MIB
"""Bytes a second of a transfer: a good home line, and little enough for a small machine that runs all the programs."""

LEAST: Final = 100 * MIB
"""No transfer is smaller."""

END_SECONDS: Final = 60.0
"""How long the rest of a transfer may take once it is told to stop, on a busy machine by a relay."""

MEGABITS: Final = "1000"
"""The quota of the relays, which is not what scenes are about."""

TOLD_BYTES: Final = 2000
"""How much of what a client complained about is told when a scene breaks off."""


def relay(machine: Machine, directory: Path, name: str) -> Program:
    """Start a relay with a name of its own."""
    settings = {"CLAWCHAT_RELAY_ID": name, "CLAWCHAT_QUOTA_MEGABITS": MEGABITS}
    return Program(machine, directory, ["relay", *keylog(directory)], settings)


def server(machine: Machine, directory: Path, relays: Sequence[Path], more: Mapping[str, str]) -> Program:
    """Set the server of a scene up and start it, with more settings if the scene has any."""
    files.private_directory(directory / SECURITY_NAME)
    write_key(Home(directory / CONFIGURATION_NAME, directory / SECURITY_NAME))
    settings = {
        "CLAWCHAT_NETWORKING_RELAYS": json.dumps([str(file) for file in relays]),
        "CLAWCHAT_NETWORKING_PORT_MAPPING": "false",
        **more,
    }
    return Program(machine, directory, ["run", *keylog(directory)], settings, module="lab.scenes.ends.server")


class Client:
    """The client of a scene; ``events`` is what it told so far."""

    def __init__(self, namespace: Namespace, directory: Path, file: Path, settings: Mapping[str, str]) -> None:
        directory.mkdir(mode=0o700)
        self._told, self._errors = directory / "events", directory / "errors"
        with self._told.open("wb") as told, self._errors.open("wb") as errors:
            self._process = namespace.exec(
                [
                    sys.executable,
                    "-m",
                    "lab.scenes.ends.client",
                    str(file),
                    f"{CONNECT_SECONDS:g}",
                    *keylog(directory)[1:],
                ],
                env=environment(directory, **settings),
                cwd=directory,
                stdin=subprocess.PIPE,
                stdout=told,
                stderr=errors,
            )

    @property
    def events(self) -> list[dict[str, Any]]:
        """Return what it told so far."""
        return [json.loads(line) for line in self._told.read_text().splitlines() if line.endswith("}")]

    def tell(self, do: str, **order: object) -> None:
        """Give it a command."""
        pipe = self._process.stdin
        if pipe is not None:
            pipe.write(json.dumps({"do": do, **order}).encode() + b"\n")
            pipe.flush()

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool], what: str, seconds: float) -> dict[str, Any]:
        """Wait until it tells something. Raises NamespaceError with its own words when it does not."""
        deadline = time.monotonic() + seconds
        while True:
            found = next(filter(wanted, self.events), None)
            if found is not None:
                return found
            if time.monotonic() > deadline or self._process.poll() is not None:
                said = self._errors.read_text(errors="replace")[-TOLD_BYTES:]
                raise NamespaceError(
                    f"the client told of no {what} within {seconds:g} s; it told {self.brief()}\n{said}"
                )
            time.sleep(LOOK)

    def brief(self) -> str:
        """Return the names of what it told, with paths."""
        return ", ".join(f"{each['event']} {each.get('path', '')}".strip() for each in self.events)

    def end(self) -> None:
        """See to it that it has ended."""
        end(self._process)
        if self._process.stdin is not None:
            self._process.stdin.close()


class Stage:
    """All programs of one scene, between two peers of a world."""

    def __init__(  # noqa: PLR0913 - who is where, and how the two ends are set
        self, world: World, place: Path, *, client: str, server_at: str, way: str, settings: Mapping[str, str]
    ) -> None:
        self.world = world
        self.way = way
        self.place = place
        self.relays: dict[str, Program] = {}
        for name in RELAYS:
            self.start_relay(name)
        for each in self.relays.values():
            each.wait_for("started")
        secrets = [each.security / "relay.sec" for each in self.relays.values()]
        self.server = server(world.machine(server_at), place / "server", secrets, settings)
        self.server.wait_for("relay-joined")
        self.client = Client(world.namespace(client), place / "client", self.server.invite("cargo"), settings)
        self.client.wait_for(lambda event: event["event"] == "connected", "session", CONNECT_SECONDS)

    def start_relay(self, name: str) -> None:
        """Start a relay, perhaps again where it was before."""
        self.relays[name] = relay(self.world.machine(name), self.place / name, name)

    # --- the path ----------------------------------------------------------------------------------

    def path(self) -> str:
        """Return the path in use, as the client tells."""
        return next(str(each["path"]) for each in reversed(self.client.events) if "path" in each)

    def wait_direct(self, since: float, seconds: float = CONNECT_SECONDS) -> float:
        """Wait until the session is direct; return how long after ``since`` that was (monotonic seconds)."""

        def direct(event: dict[str, Any]) -> bool:
            return event["at"] >= since and str(event.get("path", RELAYED)) != RELAYED

        return float(self.client.wait_for(direct, "direct path", seconds)["at"]) - since

    def carrier(self) -> str:
        """Return the name of the relay that carries the session, as the server sees it."""
        told = control.call(self.server.security / "control.sock", "sessions")
        return str(told["sessions"][0]["remote"]).removeprefix("relay ")

    # --- the transfer ------------------------------------------------------------------------------

    def begin(self, settle: float = 2.0, rate: float = RATE, least: int = LEAST) -> None:
        """Begin a transfer, and let it run for a while."""
        self.client.tell(self.way, rate=rate, least=least)
        self.client.wait_for(lambda event: event["event"] == "under_way", "transfer", CONNECT_SECONDS)
        time.sleep(settle)

    def finish(self, seconds: float = END_SECONDS) -> dict[str, Any]:
        """End the transfer; return what arrived."""
        self.client.tell("stop")
        return self.client.wait_for(lambda event: event["event"] == "moved", "end of the transfer", seconds)

    def keys(self) -> str:
        """Return the key logs of all programs."""
        return "\n".join(file.read_text("ascii") for file in sorted(self.place.glob(f"*{KEYS}")))

    def close(self) -> None:
        """End the client; the world ends the rest."""
        self.client.end()


def held_up(moved: dict[str, Any], since: float, within: float = 5.0) -> float:
    """Return for how long nothing arrived because of what happened at ``since``: until the end of the longest wait."""
    waits = [Wait(*each) for each in moved["waits"]]
    near = [wait for wait in waits if wait.until > since and wait.since < since + within]
    if not near:
        return 0.0
    longest = max(near, key=lambda wait: wait.until - max(wait.since, since))
    return longest.until - max(longest.since, since)
