"""What ``clawchat netcheck`` tells, and how it ends."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import jsonschema
import pytest

from clawchat.nat.depth import Depth
from clawchat.nat.mapping import Dependence, Observation, classify
from clawchat.nat.portmap.lease import Gateway, Lease, Protocol
from clawchat.net import events_json
from clawchat.net.command_line import run_command_line
from clawchat.net.netcheck import Look, Seen, summarise
from clawchat.values.address import Address
from client import netcheck
from client.cli import cli

INSIDE, PUBLIC, SIXTH = "192.168.1.2", "203.0.113.9", "2001:db8::2"
SERVERS = [Address("198.51.100.1", 3478), Address("198.51.100.2", 3478), Address("198.51.100.1", 3479)]
GATEWAY = Gateway("192.168.1.1", INSIDE, ipaddress.ip_network("192.168.1.0/24"))
LEASE = Lease(Protocol.PCP, Address(PUBLIC, 50_000), Address(INSIDE, 50_000), 0.0, 1200.0)


def seen(*ports: int, host: str = PUBLIC, filtering: Dependence = Dependence.UNKNOWN) -> Seen:
    mapping = classify(
        Observation(50_000, server, Address(host, port), at / 10)
        for at, (server, port) in enumerate(zip(SERVERS, ports, strict=False))
    )
    return Seen(("one", "two"), (), mapping, filtering, 0.0123)


def found(ipv4: Seen | None = None, ipv6: Seen | None = None, **more: Any) -> Look:  # noqa: ANN401 - fields of Look
    hosts = more.pop("hosts", (INSIDE,))
    return Look(hosts, ipv4 or Seen(), ipv6 or Seen(), more.pop("unresolved", ()), **more)


Asked = list[tuple[tuple[str, ...], bool]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def asked() -> Asked:
    return []


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: Asked) -> Run:
    """Return what runs the command on a network that is made up."""

    def go(look: Look, *arguments: str) -> tuple[int, str, str]:
        def pretend(servers: Sequence[str], *, port_mapping: bool) -> Coroutine[Any, Any, Look]:
            async def told() -> Look:
                asked.append((tuple(servers), port_mapping))
                return look

            return told()

        monkeypatch.setattr(netcheck, "look", pretend)
        code = run_command_line(cli, "clawchat", ["netcheck", *arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return go


def test_a_person_reads_what_was_found(check: Run) -> None:
    depth = Depth()
    depth.expired(1, "192.168.1.1")
    depth.expired(2, "203.0.113.1")
    look = found(
        seen(40_000, 40_002, 40_004, filtering=Dependence.ADDRESS_DEPENDENT),
        gateway=GATEWAY,
        lease=LEASE,
        depth=depth,
        unresolved=("three",),
    )
    code, out, err = check(look, "--stun", "one")
    assert (code, err) == (0, "")
    assert out == (
        "addresses       192.168.1.2\n"
        "seen as         203.0.113.9\n"
        "NAT ports       changed for every destination, counting by 2\n"
        "NAT mapping     address-and-port-dependent\n"
        "lets in         lets addresses in that were sent something\n"
        "IPv6            none\n"
        "router          192.168.1.1\n"
        "port mapping    works by PCP: 203.0.113.9:50000\n"
        "depth           the public internet begins 2 hops away; TTL 3 opens our side\n"
        "STUN servers    answered: one, two (nearest 12.3 ms); silent: three\n"
        "\n"
        "The router maps a port to this machine: a server here can be reached directly.\n"
    )


def test_a_program_reads_one_line(check: Run) -> None:
    code, out, _ = check(found(seen(40_000, 60_000, 20_000)), "--stun", "one", "--json")
    (line,) = out.splitlines()
    record = json.loads(line)
    jsonschema.validate(record, json.loads(events_json.shipped_schema()))
    assert code == 0
    assert (record["schema"], record["event"], record["reach"]) == (1, "net_check", "hard")
    assert (record["ports"], record["mapping"], record["answered"]) == (
        "random",
        "address-and-port-dependent",
        ["one", "two"],
    )
    assert "depth" not in record


def test_nobody_is_asked_unless_named(check: Run, asked: Asked) -> None:
    code, out, _ = check(found(gateway=GATEWAY, refusals=("PCP: no answer", "UPnP: no answer")))
    assert code == 0
    assert asked == [((), True)]
    assert "port mapping    PCP: no answer; UPnP: no answer\n" in out
    assert "STUN servers    none are named\n" in out
    assert "networking.stun_servers" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--stun", "a", "--stun", "b:5"), (("a", "b:5"), True)),
        (("--no-port-mapping",), ((), False)),
    ],
)
def test_flags_say_who_is_asked(
    check: Run, asked: Asked, arguments: tuple[str, ...], expected: tuple[tuple[str, ...], bool]
) -> None:
    check(found(seen(50_000)), *arguments)
    assert asked == [expected]


def test_the_configuration_says_so_too(check: Run, asked: Asked, tmp_path: Any) -> None:  # noqa: ANN401 - a path
    file = tmp_path / "client.yaml"
    file.write_text("networking: {stun_servers: [c], port_mapping: false}\n", encoding="utf-8")
    check(found(seen(50_000)), "--config", str(file))
    assert asked == [(("c",), False)]


def test_a_server_that_is_none_is_a_mistake_in_the_command(check: Run, asked: Asked) -> None:
    code, _, err = check(found(), "--stun", "http://x")
    assert (code, asked) == (2, [])
    assert "not a STUN server" in err


def test_servers_that_are_all_silent_end_it_with_a_timeout(check: Run) -> None:
    code, out, err = check(found(Seen(silent=("one",))), "--stun", "one")
    assert code == 10
    assert "CC-STUN-SILENT: no answer from one" in err
    assert "may block UDP" in out


def test_no_network_is_an_error(check: Run) -> None:
    code, out, err = check(found(hosts=("127.0.0.1",)))
    assert code == 1
    assert "CC-NETWORK" in err
    assert "This machine has no network." in out


@pytest.mark.parametrize(
    ("look", "ipv6"),
    [
        (found(), "none"),
        (found(hosts=(INSIDE, "fd00::2")), "none"),
        (found(hosts=(INSIDE, SIXTH)), "untested"),
        (found(hosts=(INSIDE, SIXTH), ipv6=Seen(silent=("one",))), "blocked"),
        (found(hosts=(INSIDE, SIXTH), ipv6=seen(50_000, host=SIXTH)), "direct"),
        (found(hosts=(INSIDE, SIXTH), ipv6=seen(50_000, host="2001:db8::9")), "translated"),
    ],
)
def test_ipv6_is_told_apart(look: Look, ipv6: str) -> None:
    assert summarise(look).ipv6 == ipv6


def test_no_nat_is_told(check: Run) -> None:
    _, out, _ = check(found(seen(50_000, host=PUBLIC), hosts=(PUBLIC,)), "--stun", "one")
    assert "NAT             none: nothing changes our address\n" in out


def test_where_only_ipv6_works_that_is_judged(check: Run) -> None:
    ipv6 = seen(50_000, 50_000, host=SIXTH, filtering=Dependence.ENDPOINT_INDEPENDENT)
    code, out, _ = check(found(Seen(silent=("one",)), ipv6, hosts=(SIXTH,)), "--stun", "one", "--json")
    record = json.loads(out)
    assert (code, record["reach"], record["ipv6"], record["rtt_ms"]) == (0, "open", "direct", 12.3)


def test_a_second_nat_behind_the_router_is_told(check: Run) -> None:
    lease = LEASE._replace(external=Address("100.64.0.9", 50_000))
    _, out, _ = check(found(seen(50_000), lease=lease, gateway=GATEWAY), "--stun", "one")
    assert "port mapping    works by PCP: 100.64.0.9:50000, behind a second NAT\n" in out
    assert "kept as they are" in out
