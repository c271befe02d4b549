"""Namespaces for real: who reaches whom, over which hops, through which cables, and what is left afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clawchat.values.address import Address
from lab import netns
from lab.backends.netns.world import World, opened
from lab.gate.ground import Arrival, heard_from, reaches
from lab.gate.grounds.machines import MachineGround, MachineSocket
from lab.model.link import CLEAN, Link
from lab.model.plan import Plan, plan
from lab.model.presets import preset
from lab.model.topology import Gateway, Host, Peer, Topology, row, stacked

pytestmark = pytest.mark.netns

CHECKOUT = Path(__file__).parents[2]


def names() -> list[str]:
    listed = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    return [line.split()[0] for line in listed.splitlines()]


def ours() -> list[str]:
    return [name for name in names() if name.startswith(f"{netns.NAME_PREFIX}-{os.getpid()}-w")]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    gateways = (
        *stacked("home", preset("port-restricted").layers),
        *stacked("phone", preset("cgnat").layers),
        *stacked("flat", preset("open").layers),
        *stacked("cone", preset("full-cone").layers),
    )
    peers = (
        Peer("anna", "home"),
        Peer("bob", "phone"),
        Peer("carl", "flat"),
        Peer("dora", "cone"),
        Peer("eve", "home"),
    )
    with opened(plan(Topology("test", gateways, peers, (Host("host", 2),)))) as world:
        yield world


@contextlib.contextmanager
def sockets(world: World, *ends: tuple[str, int]) -> Iterator[list[MachineSocket]]:
    """Lend sockets of peers and hosts."""
    ground, plan = MachineGround(world), world.plan

    def address(node: str) -> str:
        return plan.peers[node].address if node in plan.peers else plan.hosts[node].addresses[0]

    with contextlib.ExitStack() as stack:
        made = [ground.open(node, Address(address(node), port)) for node, port in ends]
        for one in made:
            stack.callback(one.close)
        yield made


@pytest.mark.parametrize(("peer", "hops"), [("anna", 3), ("bob", 4), ("carl", 3)])
def test_a_packet_needs_a_ttl_for_every_hop(world: World, peer: str, hops: int) -> None:
    with sockets(world, (peer, 11_000), ("host", 12_000)) as (near, far):

        async def arrived() -> list[int]:
            for ttl in range(1, hops + 2):
                near.send(b"%d" % ttl, far.address, ttl=ttl)
            found: list[int] = []
            while arrival := await far.receive(0.3):
                found.append(int(arrival.payload))
            return found

        assert asyncio.run(arrived()) == [hops, hops + 1]


def test_gateways_reach_one_another_through_the_router_only(world: World) -> None:
    """A packet that dies on the way opens our own NAT and never touches the peer's."""
    plan = world.plan
    with sockets(world, ("anna", 11_001), ("dora", 11_001)) as (near, far):
        home, cone = (Address(plan.gateways[name].wan, 11_001) for name in ("home", "cone"))

        async def punched() -> tuple[bool, bool, Arrival | None]:
            near.send(b"prime", cone, ttl=2)
            one = await reaches(far, home, near)
            other = await reaches(near, cone, far)
            return one, other, await far.receive(0.1)

        assert asyncio.run(punched()) == (True, True, None)


def test_neighbours_meet_on_their_own_network(world: World) -> None:
    with sockets(world, ("anna", 11_002), ("eve", 11_002)) as (near, far):
        assert asyncio.run(heard_from(near, far, ttl=1)) == near.address


def test_a_cut_node_is_cut_off_until_it_is_mended(world: World) -> None:
    with sockets(world, ("anna", 11_003), ("host", 12_003)) as (near, far):
        for node in ("host", "home"):
            world.cut(node)
            assert asyncio.run(heard_from(near, far, patience=0.2)) is None
            world.mend(node)
            assert asyncio.run(heard_from(near, far)) is not None


def test_a_restarted_gateway_knows_nobody(world: World) -> None:
    with sockets(world, ("dora", 11_004), ("host", 12_004)) as (near, far):

        async def back() -> tuple[bool, bool, bool]:
            outside = await heard_from(near, far)
            assert outside is not None
            before = await reaches(far, outside, near)
            world.forget("cone")
            after = await reaches(far, outside, near)
            return before, after, await heard_from(near, far) == outside

        assert asyncio.run(back()) == (True, False, True)


def test_no_route_leads_out(world: World) -> None:
    with sockets(world, ("carl", 11_005)) as (near,):
        for target in ("203.0.113.1", "8.8.8.8", "169.254.169.254"):
            near.send(b"anybody?", Address(target, 53))
        devices = {
            line.split()[1].partition("@")[0] for line in world.namespace("router").ip("-o", "link").splitlines()
        }
        assert all(device == "lo:" or device.rstrip(":")[0] in "gh" for device in devices)
        assert "default" not in world.namespace("router").ip("route")


def test_worlds_of_one_process_do_not_collide(world: World) -> None:
    with opened(world.plan) as other:
        assert set(other.namespaces) == set(world.namespaces)
        assert not {one.name for one in other.namespaces.values()} & {one.name for one in world.namespaces.values()}


def test_a_failure_while_building_leaves_nothing_behind() -> None:
    before = ours()
    made = plan(row(["port-restricted", "symmetric-random"]))
    with pytest.raises(netns.NamespaceError, match="nft"), opened(made, rules_of={"g2": "this is no rule"}):
        pass
    assert ours() == before


def test_an_interrupt_leaves_nothing_behind() -> None:
    before = ours()

    def interrupted() -> None:
        with opened(cabled(Link(delay=0.01))):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ours() == before


CRASH = """
import sys, time
from lab.backends.netns.world import opened
from lab.model.link import Link
from lab.model.plan import plan
from lab.model.topology import Gateway, Host, Peer, Topology
from lab.model.presets import preset

nat = preset("port-restricted").layers[0]
made = Topology("crash", (Gateway("g", nat, link=Link(delay=0.01)),), (Peer("p", "g"),), (Host("host"),))
with opened(plan(made)) as world:
    world.namespace("p").exec(["sleep", "300"])
    print("ready", flush=True)
    time.sleep(300)
"""


def test_what_a_killed_run_leaves_is_removed_by_clean() -> None:
    killed = subprocess.Popen(
        [sys.executable, "-c", CRASH], cwd=CHECKOUT, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"ready\n"
    prefix = f"{netns.NAME_PREFIX}-{killed.pid}-"
    kept = subprocess.run(
        [sys.executable, "-m", "lab", "clean"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    assert prefix not in kept.stdout
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert any(name.startswith(prefix) for name in names())
    # Another run that begins at this moment may be quicker, as every run removes what dead ones left.
    subprocess.run([sys.executable, "-m", "lab", "clean"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert not any(name.startswith(prefix) for name in names())


def test_fourteen_gateways_take_no_time() -> None:
    """A measurement would be flaky; this only notices when building has become slow by an order of magnitude."""
    made = plan(row(["port-restricted", "symmetric-random"] * 7, hosts=[Host("relay")]))
    begun = time.monotonic()
    with opened(made):
        assert time.monotonic() - begun < 15


# -------------------------------------------------------------------------------------------------------------- cables


def cabled(link: Link, host_link: Link = CLEAN) -> Plan:
    gateway = Gateway("g", preset("port-restricted").layers[0], link=link)
    return plan(Topology("cabled", (gateway,), (Peer("p", "g"),), (Host("host", link=host_link),)))


async def flood(near: MachineSocket, far: MachineSocket, count: int) -> list[int]:
    """Send numbered datagrams and return the numbers in the order of their arrival."""
    for number in range(count):
        near.send(b"%d" % number, far.address)
        await asyncio.sleep(0.001)
    numbers: list[int] = []
    while arrival := await far.receive(0.4):
        numbers.append(int(arrival.payload))
    return numbers


def test_every_third_packet_is_lost() -> None:
    with (
        opened(cabled(Link(lose_every=3))) as world,
        sockets(world, ("p", 11_000), ("host", 12_000)) as (near, far),
    ):
        assert asyncio.run(flood(near, far, 9)) == [0, 1, 3, 4, 6, 7]


def test_a_share_of_packets_is_lost() -> None:
    with opened(cabled(Link(loss=0.5))) as world, sockets(world, ("p", 11_000), ("host", 12_000)) as (near, far):
        assert 60 < len(asyncio.run(flood(near, far, 200))) < 140


def test_a_late_cable_is_no_hop_and_loses_nothing() -> None:
    with opened(cabled(Link(delay=0.05))) as world, sockets(world, ("p", 11_000), ("host", 12_000)) as (near, far):

        async def there() -> tuple[bool, float]:
            begun = time.monotonic()
            arrived = await heard_from(near, far, ttl=3) is not None
            return arrived, time.monotonic() - begun

        arrived, seconds = asyncio.run(there())
        assert arrived
        assert seconds >= 0.05
        assert asyncio.run(flood(near, far, 100)) == list(range(100))


def test_a_bad_cable_doubles_and_disorders() -> None:
    link = Link(delay=0.02, jitter=0.005, reorder=0.3, duplicate=0.3)
    with (
        opened(cabled(link, host_link=Link(delay=0.01))) as world,
        sockets(world, ("p", 11_000), ("host", 12_000)) as (near, far),
    ):
        numbers = asyncio.run(flood(near, far, 200))
        assert set(numbers) == set(range(200))
        assert 230 < len(numbers) < 290
        assert numbers != sorted(numbers)


def test_lifetimes_are_the_gateways_own(world: World) -> None:
    shown = world.namespace("home").run("sysctl", "-n", "net.netfilter.nf_conntrack_udp_timeout")
    assert shown.strip() == "30"
    with opened(world.plan) as other:
        lifetime = preset("port-restricted").layers[0].lifetime
        other.set_lifetime("home", type(lifetime)(7, 9))
        for name, expected in (("udp_timeout", "7"), ("udp_timeout_stream", "9")):
            text = other.namespace("home").run("sysctl", "-n", f"net.netfilter.nf_conntrack_{name}")
            assert text.strip() == expected
    assert world.namespace("home").run("sysctl", "-n", "net.netfilter.nf_conntrack_udp_timeout").strip() == "30"


def test_a_socket_stays_where_it_was_made(world: World) -> None:
    with world.namespace("anna").entered():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with made:
        made.bind((world.plan.peers["anna"].address, 0))
    with pytest.raises(OSError, match="assign"), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
        outside.bind((world.plan.peers["anna"].address, 0))
