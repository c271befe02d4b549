"""Behind a real router in namespaces: Debian's miniupnpd maps ports, coturn tells what the NAT does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import require
from tests.netns.home import (
    COUNTING,
    OUTSIDE,
    PRESERVING,
    RANDOM,
    REMAPPING,
    ROUTER,
    SERVER,
    SERVER_TOO,
    Home,
    Talker,
    home,
    missing,
)

pytestmark = [pytest.mark.netns, pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Home]:
    require("a router's firewall", missing("nft", "nftables"))
    with home(tmp_path) as built:
        yield built


@pytest.fixture
def mapping_place(place: Home) -> Home:
    require("a router that maps ports", missing("miniupnpd", "miniupnpd-nftables"))
    return place


@pytest.fixture
def stun_place(place: Home) -> Home:
    require("a STUN server", missing("turnserver", "coturn"))
    place.serve_stun()
    return place


@pytest.mark.parametrize(
    ("way", "router"),
    [
        ("PCP", {}),
        ("NAT-PMP", {}),
        ("UPnP", {}),
        ("UPnP", {"first_version": True}),
        ("best", {}),
        ("best", {"datagrams": False}),
        ("best", {"http": False}),
    ],
    ids=["pcp", "nat-pmp", "upnp-2", "upnp-1", "all", "upnp-only", "datagrams-only"],
)
def test_the_world_reaches_a_mapped_port_and_nothing_is_left_behind(
    mapping_place: Home, way: str, router: dict[str, bool]
) -> None:
    mapping_place.offer_mappings(**router)
    talker = mapping_place.run_python("-m", "tests.netns.mapped", way)
    told = talker.hear()
    expected = way if way != "best" else "UPnP" if router.get("datagrams") is False else "PCP"
    assert (told["lease"], told["host"]) == (expected, OUTSIDE)
    assert f"dport {told['port']} " in mapping_place.mappings()
    mapping_place.send(b"from outside", OUTSIDE, told["port"])
    assert talker.hear() == {"heard": "from outside"}
    assert talker.hear() == {"done": True}
    assert mapping_place.mappings() == ""


@pytest.mark.parametrize(
    ("translate", "ports", "mapping", "reach", "oracle"),
    [
        (PRESERVING, "preserving", "endpoint-independent", "easy", "Endpoint Independent Mapping"),
        (REMAPPING, "endpoint-independent", "endpoint-independent", "easy", "Endpoint Independent Mapping"),
        (COUNTING, "sequential", "address-and-port-dependent", "predictable", "Address and Port Dependent Mapping"),
        (RANDOM, "random", "address-and-port-dependent", "hard", "Address and Port Dependent Mapping"),
    ],
    ids=["preserving", "remapping", "counting", "random"],
)
def test_netcheck_tells_a_nat_as_an_independent_program_does(  # noqa: PLR0913 - a row of a table
    stun_place: Home, translate: str, ports: str, mapping: str, reach: str, oracle: str
) -> None:
    stun_place.route(translate)
    told = stun_place.netcheck("--stun", SERVER, "--stun", SERVER_TOO, "--no-port-mapping")
    assert (told["ports"], told["mapping"], told["reach"]) == (ports, mapping, reach)
    assert (told["filtering"], told["public"]) == ("address-and-port-dependent", [OUTSIDE])
    assert told["step"] == (1 if ports == "sequential" else 0)
    assert (told["depth"], told["prime_ttl"]) == (2, 3)
    assert oracle in stun_place.machine.run("turnutils_natdiscovery", "-m", SERVER)


def test_netcheck_sees_through_two_nats(stun_place: Home) -> None:
    stun_place.translate_twice()
    # the provider's side of the cable gets an address that is its customers' alone
    stun_place.provider.ip("address", "replace", "100.64.0.1/24", "dev", "customers")
    stun_place.provider.ip("address", "del", "11.22.33.1/24", "dev", "customers")
    stun_place.router.ip("address", "replace", "100.64.0.2/24", "dev", "wan")
    stun_place.router.ip("address", "del", "11.22.33.2/24", "dev", "wan")
    stun_place.router.ip("route", "replace", "default", "via", "100.64.0.1")
    told = stun_place.netcheck("--stun", SERVER, "--no-port-mapping")
    assert (told["depth"], told["prime_ttl"]) == (3, 4)
    assert told["public"] == ["11.22.44.254"]


def test_netcheck_tells_what_a_cone_lets_in(stun_place: Home) -> None:
    stun_place.route(f'oifname "wan" snat ip to {OUTSIDE}', cone=True)
    told = stun_place.netcheck("--stun", SERVER, "--no-port-mapping")
    assert (told["ports"], told["filtering"], told["reach"]) == ("preserving", "endpoint-independent", "easy")


def test_the_doctor_judges_a_nat_and_sees_the_cable_of_a_network_of_its_own(stun_place: Home, tmp_path: Path) -> None:
    networking = {"stun_servers": [SERVER, SERVER_TOO], "port_mapping": False}
    stun_place.route(PRESERVING)
    told = stun_place.doctor(networking, tmp_path)
    assert (told["NAT"]["outcome"], told["STUN"]["outcome"]) == ("pass", "pass")
    stun_place.route(RANDOM)
    told = stun_place.doctor(networking, tmp_path)
    assert told["NAT"]["outcome"] == "fail"
    assert "relay" in told["NAT"]["action"]
    look = "from clawchat.net.doctor.machine import has_own_network; print(has_own_network())"
    assert stun_place.machine.run(sys.executable, "-c", look).strip() == "True"


def test_the_doctor_sees_the_router_map_a_port(mapping_place: Home, tmp_path: Path) -> None:
    mapping_place.offer_mappings()
    told = mapping_place.doctor({"port_mapping": True}, tmp_path)
    assert told["port mapping"]["outcome"] == "pass"
    assert OUTSIDE in told["port mapping"]["found"]


def test_netcheck_asks_the_router_and_nobody_else(mapping_place: Home) -> None:
    mapping_place.offer_mappings()
    told = mapping_place.netcheck()
    assert (told["reach"], told["mapped_by"], told["gateway"]) == ("mapped", "PCP", ROUTER)
    assert told["mapped"].startswith(f"{OUTSIDE}:")
    assert (told["answered"], told["silent"], told["public"]) == ([], [], [])
    assert mapping_place.mappings() == ""


def serve(place: Home, settings: str) -> Talker:
    """Set a server up at home and run it."""
    directory = place.folder / "server"
    place.machine.run(sys.executable, "-m", "server", "init", "--directory", str(directory))
    (directory / "server.yaml").write_text(settings, encoding="utf-8")
    return place.run_python("-m", "server", "run", "--directory", str(directory))


def ping(place: Home) -> list[dict[str, Any]]:
    """Let a client out in the world join by the server's security file."""
    security = next(place.folder.glob("server/**/default.sec"))
    key = next(place.folder.glob("server/**/bootstrap.key"))
    command = ["ping", str(security), "--key-file", str(key), "--count", "1", "--timeout", "15", "--json"]
    told = place.world.run("env", f"CLAWCHAT_HOME={place.folder / 'client'}", sys.executable, "-m", "client", *command)
    return [json.loads(line) for line in told.splitlines()]


def test_a_server_behind_a_router_is_reached_through_its_mapped_port(mapping_place: Home) -> None:
    mapping_place.offer_mappings()
    server = serve(mapping_place, "networking: {port_mapping: true}\n")
    told = server.hear_of("port-mapped")
    assert told["external"].startswith(f"{OUTSIDE}:")
    server.hear_of("file-written")
    events = ping(mapping_place)
    (connected,) = [each for each in events if each["event"] == "connected"]
    assert told["external"] in connected["path"]
    mapping_place.machine.end_processes()
    assert mapping_place.mappings() == ""


def test_a_server_behind_a_cone_is_reached_where_stun_servers_see_it(stun_place: Home) -> None:
    stun_place.route(f'oifname "wan" snat ip to {OUTSIDE}', cone=True)
    settings = f"networking: {{port_mapping: false, stun_servers: ['{SERVER}', 'stun:{SERVER_TOO}:3479']}}\n"
    server = serve(stun_place, settings)
    told = server.hear_of("seen-from-outside")
    assert told["ports"] == "preserving"
    server.hear_of("file-written")
    events = ping(stun_place)
    (connected,) = [each for each in events if each["event"] == "connected"]
    assert told["addresses"][0] in connected["path"]
