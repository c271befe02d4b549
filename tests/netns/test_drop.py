"""The programs themselves behind the kernel's own NATs, with nothing between them but a directory."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab import netns
from lab.backends.netns.world import opened
from lab.model.plan import plan
from lab.model.topology import Host, row
from tests.conftest import require
from tests.netns.home import missing

pytestmark = [pytest.mark.netns, pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")]
CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 90.0
SEERS = ("seer-1", "seer-2")


def wait_for(log: Path, event: str) -> None:
    """Wait until a server's log tells of an event."""
    deadline = time.monotonic() + PATIENCE
    while not any(json.loads(line)["event"] == event for line in log.read_text().splitlines() if line[-1:] == "}"):
        assert time.monotonic() < deadline, f"the server told of no {event}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("asking", "answering"),
    [
        ("port-restricted", "port-restricted"),
        ("poisonable-home", "poisonable-home"),
        ("address-restricted", "symmetric-random"),
    ],
)
def test_two_programs_meet_through_their_nats(asking: str, answering: str, tmp_path: Path) -> None:
    require("a router's firewall", missing("nft", "nftables"))
    planned = plan(row([asking, answering], hosts=[Host(name) for name in SEERS]))
    client_at, server_at = planned.peers.values()
    (drop := tmp_path / "drop").mkdir()
    seers = ", ".join(planned.hosts[name].addresses[0] for name in SEERS)
    home, log = tmp_path / "server", tmp_path / "server.log"
    python, environment = [sys.executable, "-m"], {"CLAWCHAT_HOME": str(tmp_path / "client")}
    subprocess.run([*python, "server", "init", "--directory", str(home)], cwd=CHECKOUT, check=True, capture_output=True)
    settings = home / "server.yaml"
    text = re.sub(r"(?m)^  drop: .*$", f"  drop: {drop}", settings.read_text())
    settings.write_text(re.sub(r"(?m)^  stun_servers: .*$", f"  stun_servers: [{seers}]", text))
    (tmp_path / "client.yaml").write_text(f"networking:\n  stun_servers: [{seers}]\n")
    with opened(planned) as world:
        running = [
            world.namespace(name).exec(
                [*python, "lab.scenes.ends.seer", planned.hosts[name].addresses[0]], cwd=CHECKOUT
            )
            for name in SEERS
        ]
        try:
            with log.open("wb") as told:
                running.append(
                    world.namespace(server_at.name).exec(
                        [*python, "server", "run", "--directory", str(home)], cwd=CHECKOUT, stderr=told
                    )
                )
            wait_for(log, "seen-from-outside")
            command = [*python, "client", "connect", str(home / "security" / "default.sec"), "--json"]
            client = world.namespace(client_at.name).exec(
                [*command, "--config", str(tmp_path / "client.yaml"), "--drop", str(drop)],
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            running.append(client)
            out, errors = client.communicate(b"hi\n", timeout=PATIENCE)
            wait_for(log, "answered-by-file")
        finally:
            for process in running:
                netns.end(process)
    assert client.returncode == 0, errors.decode()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["delivered"] for event in events if event["event"] == "closed"] == [1]
