"""Two programs behind port-restricted NATs, no relay, and files that somebody or something carries between them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from clawchat.net import files
from lab.backends.netns.machine import CHECKOUT, environment
from lab.backends.netns.world import World, opened
from lab.matrix.programs import Program
from lab.model.plan import plan
from lab.model.topology import Host, row
from lab.netns import NamespaceError
from lab.scenes.result import Claim, Outcome, at_most
from server.bootstrap import write_key
from server.by_hand import answer_hello
from server.home import CONFIGURATION_NAME, SECURITY_NAME, Home

NATS: Final = ("port-restricted", "port-restricted")
SEERS: Final = ("seer-1", "seer-2")
"""STUN servers: two, so that a NAT shows how it chooses ports."""

LATENCIES: Final = (0, 5, 60)
"""How long a file may take from one directory to the other, seconds: a shared disk, a quick service, a slow one."""

BY_HAND: Final = "by-hand"
PICK_UP: Final = 6.0
"""Each end looks into its folder every five seconds at least."""

SLACK: Final = 15.0
"""Seconds for two programs to start and for STUN, on a busy machine."""

LOOK: Final = 0.1

Carrier = Callable[["_Ends"], None]


class _Ends:
    """A server and a client that have nothing in common but two directories, which are perhaps one."""

    def __init__(self, world: World, place: Path) -> None:
        self.world = world
        self.place = place
        self.here, self.there = place / "here", place / "there"
        for folder in (self.here, self.there):
            folder.mkdir()
        self.python = [sys.executable, "-m"]
        self._stun = {"CLAWCHAT_NETWORKING_STUN_SERVERS": json.dumps([world.plan.hosts[n].addresses[0] for n in SEERS])}
        for name in SEERS:
            words = [*self.python, "lab.scenes.ends.seer", world.plan.hosts[name].addresses[0]]
            world.namespace(name).exec(words, cwd=CHECKOUT)
        directory = place / "server"
        files.private_directory(directory / SECURITY_NAME)
        self.home = Home(directory / CONFIGURATION_NAME, directory / SECURITY_NAME)
        write_key(self.home)
        settings = {
            **self._stun,
            "CLAWCHAT_NETWORKING_DROP": str(self.there),
            "CLAWCHAT_NETWORKING_PORT_MAPPING": "false",
        }
        self.server = Program(world.machine("g2-a"), directory, ["run"], settings)
        self.server.wait_for("seen-from-outside")
        # the file that was written before the server knew where it is seen
        self.file = self.server.invite("drop")

    def connect(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the client with one line to say."""
        return self.world.namespace("g1-a").exec(
            [*self.python, "client", words[0], str(self.file), *words[1:], "--json", "--forget"],
            env=environment(self.place / "client", **self._stun),
            cwd=self.place,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def left(self) -> list[str]:
        """List the files of handshakes that lie in either directory."""
        return [path.name for folder in (self.here, self.there) for path in folder.glob("*.claw")]


def names() -> list[str]:
    """List the scenes."""
    return [f"drop-{latency}" for latency in LATENCIES] + [BY_HAND]


def about(name: str) -> str:
    """Say what happens in one of them."""
    if name == BY_HAND:
        return "no relay: two files are carried by hand, with offer and answer"
    return f"no relay: a folder that takes {_latency(name)} s for every file"


def play(name: str) -> Outcome:
    """Let two programs meet, and say something."""
    began, trouble = time.monotonic(), ""
    claims: Sequence[Claim] = ()
    figures: dict[str, float | str] = {}
    network = plan(row(NATS, hosts=[Host(seer) for seer in SEERS]))
    with tempfile.TemporaryDirectory(prefix="clawchat-drop-") as place, opened(network) as world:
        try:
            ends = _Ends(world, Path(place))
            claims = _by_hand(ends) if name == BY_HAND else _by_folder(ends, _latency(name))
        except NamespaceError as error:
            trouble = str(error)
    return Outcome(name, tuple(claims), figures, time.monotonic() - began, trouble)


def _latency(name: str) -> int:
    return int(name.rpartition("-")[2])


def _by_folder(ends: _Ends, latency: int) -> list[Claim]:
    words = [*ends.python, "lab.scenes.ends.copier", str(ends.here), str(ends.there), str(latency)]
    ends.world.namespace("router").exec(words, cwd=CHECKOUT)
    client = ends.connect("connect", "--drop", str(ends.here))
    claims = _met(client, 2 * (latency + PICK_UP) + SLACK)
    since = time.monotonic()
    while ends.left() and time.monotonic() < since + latency + PICK_UP:
        time.sleep(LOOK)
    return [*claims, Claim("files left in the folders", ", ".join(ends.left()) or "none", "none", not ends.left())]


def _by_hand(ends: _Ends) -> list[Claim]:
    hello, welcome = ends.here / "hello.claw", ends.here / "welcome.claw"
    client = ends.connect("offer", "-o", str(hello), "-i", str(welcome))
    deadline = time.monotonic() + SLACK
    while not hello.exists():
        if time.monotonic() > deadline or client.poll() is not None:
            raise NamespaceError("the client wrote no hello.claw")
        time.sleep(LOOK)
    carried = ends.there / "hello.claw"
    carried.write_bytes(hello.read_bytes())
    answer_hello(ends.home, carried, ends.there / "welcome.claw")
    welcome.write_bytes((ends.there / "welcome.claw").read_bytes())
    return _met(client, PICK_UP + SLACK)


def _met(client: subprocess.Popen[bytes], limit: float) -> list[Claim]:
    """Let the client say its line and end; claim that it did so directly."""
    try:
        out, errors = client.communicate(b"hello\n", timeout=limit + SLACK)
    except subprocess.TimeoutExpired as late:
        raise NamespaceError(f"the client has not ended {limit + SLACK:g} s after its start") from late
    events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    up = next((event for event in events if event["event"] == "connected"), None)
    if up is None:
        raise NamespaceError(f"the client did not connect: {errors.decode(errors='replace')}")
    delivered = str(events[-1].get("delivered"))
    return [
        Claim("path", up["path"], "direct", up["path"].endswith("(direct)")),
        at_most("connected", float(up["seconds"]), limit),
        Claim("texts delivered", delivered, "1", delivered == "1"),
    ]
