"""The laboratory out of containers: honest when it is, dishonest when it is not, and gone when its process is."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.backends.compose import engine
from lab.backends.compose.document import OWNER
from lab.backends.compose.passage import BypassError
from lab.backends.compose.world import ContainerWorld, opened
from lab.gate.suspects import Candidate, candidates
from lab.gate.trial import try_containers
from lab.model.plan import plan
from lab.model.presets import preset
from lab.model.topology import Host, row
from tests.docker.containers import CHECKOUT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def world() -> Iterator[ContainerWorld]:
    network = plan(row(["port-restricted", "open", "double", "udp-blocked"], hosts=[Host("relay", addresses=2)]))
    with opened(network) as made:
        yield made


def test_everything_goes_through_the_gateways(world: ContainerWorld) -> None:
    world.check_ways()
    counts = world.counts()
    assert counts.astray == 0
    assert counts.passed["g1"] > 0
    assert counts.passed["g3-outer"] > 0
    assert counts.passed["g4"] == 0


def test_peers_have_no_privilege(world: ContainerWorld) -> None:
    for node in ("g1-a", "relay"):
        container = world.container(node)
        host = container.attrs["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert container.attrs["Config"]["User"].split(":")[0] not in {"", "0", "root"}
        _, status = container.exec_run(["cat", "/proc/1/status"])
        assert b"CapEff:\t0000000000000000" in status
    assert set(world.container("g1").attrs["HostConfig"]["CapAdd"]) == {"NET_ADMIN", "NET_RAW"}


def test_the_host_has_no_address_in_the_laboratory(world: ContainerWorld) -> None:
    networks = engine.client().networks.list(filters={"label": f"com.docker.compose.project={world.project}"})
    assert len(networks) == len(world.plan.gateways) + len(world.plan.hosts) + len(world.plan.gateways) - 1
    routes = Path("/proc/net/route").read_text("ascii")
    bridges = [f"br-{str(network.id)[:12]}" for network in networks]
    assert not [bridge for bridge in bridges if bridge in routes]


def test_what_comes_round_its_gateway_is_noticed(world: ContainerWorld) -> None:
    """A gateway that lets an address of the inside out is kept out itself, and ends the run."""
    world.check_counts()
    world.run_in("g3-outer", "nft", "flush", "ruleset")
    with world.machine("g3-a").socket(socket.SOCK_DGRAM) as inside:
        inside.sendto(b"out", ("198.51.100.1", 9))
    deadline = time.monotonic() + 5.0
    while not world.counts().astray:
        assert time.monotonic() < deadline
    with pytest.raises(BypassError, match="not their gateway's"):
        world.check_counts()


def test_a_peer_that_is_not_behind_its_gateway_is_noticed(world: ContainerWorld) -> None:
    world.run_in("g1", "nft", "flush", "ruleset")
    with pytest.raises(BypassError, match="g1-a is seen at nowhere"):
        world.check_ways()


def test_the_gate_believes_an_honest_gateway_and_no_other() -> None:
    broken = Candidate(preset("port-restricted"), "iptables", (("-A INPUT -i wan -j DROP\n", ""),))
    report = try_containers([*candidates(["symmetric-random"], "iptables,nft"), broken], tries=1)
    honest, dishonest = report.verdicts
    assert honest.honest, honest.lies
    assert {lie.probe for lie in dishonest.lies} >= {"before", "clash", "unmapped"}


def test_what_a_killed_run_leaves_behind_is_removed() -> None:
    script = (
        "import time\n"
        "from lab.backends.compose.world import opened\n"
        "from lab.model.plan import plan\n"
        "from lab.model.topology import row\n"
        "with opened(plan(row(['port-restricted']))) as world:\n"
        "    print('up', flush=True)\n"
        "    time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert run.stdout is not None
    assert run.stdout.readline() == b"up\n"
    run.stdout.close()
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    label = f"{OWNER}={run.pid}"

    def left() -> int:
        daemon = engine.client()
        containers = daemon.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return len(containers) + len(daemon.networks.list(filters={"label": label}))

    assert left() > 0
    assert engine.remove_leftovers()
    assert left() == 0
