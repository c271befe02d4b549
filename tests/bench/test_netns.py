"""Namespaces and cables, for real and quickly."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lab import netns
from lab.bench.peers.base import Plan
from lab.bench.peers.plain import UdpEcho
from lab.bench.stage import Setup, cpu_seconds
from lab.bench.transport import compare

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(netns.available() is not None, reason=f"missing: {netns.available()}"),
]


def names() -> str:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


def features(interface: netns.Interface) -> dict[str, object]:
    (shown,) = json.loads(interface.namespace.run("ethtool", "--json", "-k", interface.device))
    return {name: value["active"] for name, value in shown.items() if isinstance(value, dict)}


def test_a_pair_is_joined_and_leaves_nothing_behind() -> None:
    with netns.pair("joined") as (near, far):
        assert near.namespace.name == f"claw-{os.getpid()}-joined-a"
        neighbour = far.namespace.ip("-br", "address", "show", "dev", far.device)
        assert "198.51.100.2/24" in neighbour
        assert "198.51.100.0/24" in near.namespace.ip("route")
    assert f"claw-{os.getpid()}-joined" not in names()


def test_a_failure_inside_leaves_nothing_behind() -> None:
    def broken() -> None:
        with netns.pair("broken") as (near, _):
            near.namespace.exec(["sleep", "60"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    assert f"claw-{os.getpid()}-broken" not in names()


def test_offloads_follow_the_setup() -> None:
    with netns.pair("offloads") as ends:
        netns.wire(*ends)
        for end in ends:
            shown = features(end)
            assert not shown["tcp-segmentation-offload"]
            assert not shown["tx-udp-segmentation"]
            assert shown["generic-receive-offload"]
        netns.passthrough(*ends)
        for end in ends:
            shown = features(end)
            assert shown["tcp-segmentation-offload"]
            assert shown["tx-udp-segmentation"]


def test_a_program_runs_inside_with_its_environment_and_ends_with_the_namespace() -> None:
    with netns.Namespace.create("program") as namespace:
        said = namespace.exec(
            [sys.executable, "-c", "import os; print(os.environ['CALLED'])"],
            env={"CALLED": "claw"},
            stdout=subprocess.PIPE,
        )
        assert said.communicate(timeout=10)[0] == b"claw\n"
        sleeper = namespace.exec(["sleep", "60"], dies_with_parent=True)
        assert os.getpgid(sleeper.pid) == sleeper.pid
        assert cpu_seconds([sleeper.pid]) < 1
    assert sleeper.poll() is not None


def test_a_label_that_would_confuse_the_command_line_is_refused() -> None:
    with pytest.raises(ValueError, match="label"):
        netns.Namespace.create("../evil")


def test_a_failing_command_says_its_own_words() -> None:
    with netns.Namespace.create("words") as namespace, pytest.raises(netns.NamespaceError, match="nowhere0"):
        namespace.ip("link", "set", "nowhere0", "up")


def test_leftovers_of_a_dead_owner_are_removed_and_others_stay() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    leftover = f"claw-{gone.pid}-leftover"
    subprocess.run(["ip", "netns", "add", leftover], check=True)
    with netns.Namespace.create("alive") as alive:
        assert leftover in netns.remove_leftovers()
        assert alive.name in names()
    assert leftover not in names()


def test_the_simplest_peer_is_measured() -> None:
    said: list[str] = []
    compared = compare([UdpEcho()], Setup.WIRE, Plan(seconds=0.1, echoes=20), rounds=1, say=said.append)
    (row,) = compared.rows
    assert row.status == "measured"
    assert row.samples[0].rtt_p50_us is not None
    assert said == ["wire round 1/1 udp-echo"]
